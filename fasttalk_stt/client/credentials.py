"""Who we are, as an `Authorization: Bearer` header. A token never shows in a repr or a message."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import anyio

from fasttalk_stt.client.errors import CredentialsError

Credentials = str | Callable[[], str | Awaitable[str]] | None
"""An API key or token; a function of no arguments, plain or async, is asked for each connection, so
that a token which expires can be renewed."""


async def authorization(credentials: Credentials, *, timeout_s: float) -> list[tuple[str, str]]:
    """The headers for one request.

    Raises ValueError where a fixed token cannot stand in a header; CredentialsError where a function
    raises, takes longer than `timeout_s`, or returns such a one: the next time may be better.
    """
    if credentials is None:
        return []
    if isinstance(credentials, str):
        return [_bearer(credentials)]
    try:
        with anyio.fail_after(timeout_s):
            token = credentials()
            if inspect.isawaitable(token):
                token = await token
        return [_bearer(token)]
    except Exception as error:
        # Its sentence may hold what is secret, so it is the cause and no part of the message.
        raise CredentialsError(
            f"The function for the credentials failed: {type(error).__name__}"
        ) from error


def _bearer(token: object) -> tuple[str, str]:
    # "!" to "~": printable ASCII without the space.
    if not isinstance(token, str) or not token or not all("!" <= each <= "~" for each in token):
        raise ValueError(
            "The credentials are no token: expected printable ASCII characters without white space."
        )
    return ("Authorization", f"Bearer {token}")
