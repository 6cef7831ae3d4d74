"""Names of settings that promise access control: none may be set and control nothing."""

from __future__ import annotations

from collections.abc import Set

from fasttalk_stt.access.api_keys import AccessError

_TOKEN_VARIABLES = "JWT_"  # noqa: S105 (a prefix of names)
_VERIFYING = ("JWT_SECRET", "JWT_SECRET_FILE", "JWT_PUBLIC_KEY_FILE", "JWT_JWKS_FILE")
_ONE_OF = (_VERIFYING, ("MONITORING_TOKEN", "MONITORING_TOKEN_FILE"))


def check_promises(used: Set[str], known: Set[str]) -> None:
    """Check the variables that are `used` against the `known` ones; the message is one line.

    Raises AccessError for a JWT_ variable that nobody reads, for demands on tokens without a key to
    check them with, and for two sources of one secret.
    """
    for variable in sorted(each for each in used if each.startswith(_TOKEN_VARIABLES)):
        if variable not in known:
            names = sorted(each for each in known if each.startswith(_TOKEN_VARIABLES))
            raise AccessError(
                f"{variable} is set, but there is no such setting and nothing would enforce it: unset "
                f"it. There are {', '.join(names)}"
            )
        if not used & set(_VERIFYING):
            raise AccessError(
                f"{variable} is set, but no key to check tokens with, so none would be demanded: "
                f"set one of {', '.join(_VERIFYING)}, or unset it"
            )
    for variables in _ONE_OF:
        both = [each for each in variables if each in used]
        if len(both) > 1:
            raise AccessError(f"{' and '.join(both)} are set together: expected one of them")
