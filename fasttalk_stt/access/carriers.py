"""Where a request carries its credential, and which one it is.

Three carriers: `Authorization: Bearer`, the offered subprotocol `bearer.<credential>` beside
`fasttalk` (browsers cannot set headers on a WebSocket), and `?token=` in the address.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from fasttalk_stt.protocol.errors import UNAUTHORIZED, ProtocolError

SUBPROTOCOL = "fasttalk"
BEARER_SUBPROTOCOL = "bearer."

MAX_CREDENTIAL_CHARS = 8_192
"""Half of what the web server takes as a request's head; no token of use is longer."""


@frozen
class Request:
    """What a request says about who sends it; every header as often as it came.

    Its text never shows a credential.
    """

    peer: str | None = None
    """The address at the other end of the socket, None where it has none."""
    authorization: tuple[str, ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    query_tokens: tuple[str, ...] = field(default=(), repr=False)
    origins: tuple[str, ...] = ()
    forwarded_for: tuple[str, ...] = ()


@frozen
class Credential:
    """A key or a token, as it was presented."""

    text: str = field(repr=False)
    carrier: Literal["header", "subprotocol", "query"]


def find_credential(request: Request) -> Credential | None:
    """Find the one credential of a request; None where there is none.

    Raises ProtocolError (`unauthorized`) for more than one, for one that is empty or too long and
    for an authorization that is no bearer's.
    """
    found: list[Credential] = []
    for header in request.authorization:
        scheme, _, text = header.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise ProtocolError(
                UNAUTHORIZED,
                "The Authorization header is not a bearer's. Send Authorization: Bearer CREDENTIAL.",
            )
        found.append(Credential(text.strip(), "header"))
    found += [
        Credential(each.removeprefix(BEARER_SUBPROTOCOL), "subprotocol")
        for each in request.subprotocols
        if each.startswith(BEARER_SUBPROTOCOL)
    ]
    found += [Credential(each, "query") for each in request.query_tokens]
    if not found:
        return None
    if len(found) > 1:
        raise ProtocolError(
            UNAUTHORIZED,
            f"{len(found)} credentials came with one request. Send one, by one of the carriers.",
        )
    if not found[0].text or len(found[0].text) > MAX_CREDENTIAL_CHARS:
        raise ProtocolError(
            UNAUTHORIZED,
            f"The credential has {len(found[0].text)} characters, expected "
            f"1-{MAX_CREDENTIAL_CHARS}. Send an API key or a token.",
        )
    return found[0]


def chosen_subprotocol(request: Request) -> str | None:
    """What to answer to the offered subprotocols: ours where it is among them."""
    return SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None
