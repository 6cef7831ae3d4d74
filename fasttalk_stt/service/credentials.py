"""Reads the operator's credentials from settings and files, at the start and when told to again.

The rules of each are in `access`; the errors here name the variable and the file, never a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from fasttalk_stt.access.api_keys import (
    AccessError,
    ApiKey,
    KeyRing,
    read_inline_keys,
    read_key_file,
)
from fasttalk_stt.access.policy import Policy
from fasttalk_stt.access.tokens import (
    TokenVerifier,
    VerifyingKey,
    jwks_keys,
    pem_key,
    secret_key,
)
from fasttalk_stt.settings import Settings, SettingsError

T = TypeVar("T")

MIN_MONITORING_TOKEN_CHARS = 16


def load_policy(settings: Settings) -> Policy:
    """Read every credential the settings name. Blocks while files are read.

    Raises SettingsError, in one line that shows no secret.
    """
    keys: list[ApiKey] = []
    if settings.api_keys is not None:
        keys += _using("API_KEYS", lambda: read_inline_keys(settings.api_keys or ""))
    if settings.api_keys_file is not None:
        file = settings.api_keys_file
        keys += _using(f"API_KEYS_FILE={file}", lambda: read_key_file(_text(file)))
    has_keys = settings.api_keys is not None or settings.api_keys_file is not None
    verifying = _verifying_keys(settings)
    return Policy(
        keys=_using("API_KEYS", lambda: KeyRing(keys)) if has_keys else None,
        tokens=(
            TokenVerifier(
                verifying,
                audience=settings.jwt_audience,
                issuer=settings.jwt_issuer,
                leeway_s=settings.jwt_leeway_s,
            )
            if verifying
            else None
        ),
        query_max_s=settings.jwt_query_max_s,
        trusted_proxies=settings.trusted_proxies,
    )


def _verifying_keys(settings: Settings) -> tuple[VerifyingKey, ...]:
    if settings.jwt_secret is not None:
        return (_using("JWT_SECRET", lambda: secret_key(settings.jwt_secret or "")),)
    readers: Iterable[
        tuple[str, Path | None, Callable[[str], VerifyingKey | tuple[VerifyingKey, ...]]]
    ] = (
        ("JWT_SECRET_FILE", settings.jwt_secret_file, lambda text: secret_key(text.strip())),
        ("JWT_PUBLIC_KEY_FILE", settings.jwt_public_key_file, pem_key),
        ("JWT_JWKS_FILE", settings.jwt_jwks_file, jwks_keys),
    )
    for variable, file, read in readers:
        if file is not None:
            made = _using(f"{variable}={file}", lambda: read(_text(file)))  # noqa: B023 (called here)
            return made if isinstance(made, tuple) else (made,)
    return ()


def load_monitoring_token(settings: Settings) -> str | None:
    """Read the operators' token; None where their port is open. Raises SettingsError."""
    token, source = settings.monitoring_token, "MONITORING_TOKEN"
    file = settings.monitoring_token_file
    if file is not None:
        source = f"MONITORING_TOKEN_FILE={file}"
        token = _using(source, lambda: _text(file)).strip()
    if token is not None and len(token) < MIN_MONITORING_TOKEN_CHARS:
        raise SettingsError(
            f"{source}: has {len(token)} characters, expected at least {MIN_MONITORING_TOKEN_CHARS} "
            "random ones, as from 'openssl rand -hex 32'"
        )
    return token


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _using(source: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except AccessError as error:
        raise SettingsError(f"{source}: {error}") from None
    except OSError as error:
        raise SettingsError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        # Its own text would show what the file holds.
        raise SettingsError(f"{source}: is not UTF-8") from None
