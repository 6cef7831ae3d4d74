"""Who we are, as an `Authorization: Bearer` header. A token never shows in a repr or a message."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

Credentials = str | Callable[[], str | Awaitable[str]] | None
"""An API key or token; a function of no arguments, plain or async, is asked for each connection, so
that a token which expires can be renewed."""


async def authorization(credentials: Credentials) -> list[tuple[str, str]]:
    """The headers for one request.

    Raises ValueError where the token cannot stand in a header; what the function raises, as it is.
    """
    if credentials is None:
        return []
    token = credentials if isinstance(credentials, str) else credentials()
    if inspect.isawaitable(token):
        token = await token
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise ValueError(
            "The credentials are no token: expected printable ASCII characters without line breaks."
        )
    return [("Authorization", f"Bearer {token}")]
