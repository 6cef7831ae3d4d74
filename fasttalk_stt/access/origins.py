"""Which web pages may use this server: the Origin header against a list."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from fasttalk_stt.protocol.errors import FORBIDDEN_ORIGIN, ProtocolError

ANY = "*"
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def normal_origin(text: str) -> str:
    """Write an origin in its one form: lower case, without the scheme's own port.

    Raises ValueError for what is no `scheme://host[:port]`; "null" is none.
    """
    parts = urlsplit(text.strip().lower())
    extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    if not parts.scheme or not parts.hostname or extra:
        raise ValueError("not an origin")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    if port is None or port == _DEFAULT_PORTS.get(parts.scheme):
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def read_origins(text: str) -> tuple[str, ...]:
    """Read a list separated by commas, each an origin or "*". Raises ValueError."""
    return tuple(ANY if part.strip() == ANY else normal_origin(part) for part in text.split(","))


class Origins:
    """The listed origins; None: no list, every page may."""

    def __init__(self, listed: Sequence[str] | None) -> None:
        self._listed = None if listed is None else frozenset(listed)

    def check(self, origins: Sequence[str]) -> None:
        """Check the Origin headers of a request; one without any is no browser's and passes.

        Raises ProtocolError (`forbidden_origin`).
        """
        if self._listed is None or ANY in self._listed or not origins:
            return
        if len(origins) == 1 and self._normal(origins[0]) in self._listed:
            return
        raise ProtocolError(
            FORBIDDEN_ORIGIN,
            f"Pages of {origins[0][:200]!r} may not use this server. Its operator must list the origin "
            "in ALLOWED_ORIGINS.",
        )

    def cors_headers(self, origins: Sequence[str]) -> dict[str, str]:
        """What lets the browser show an answer to a page; call `check` before."""
        if self._listed is None:
            return {}
        if ANY in self._listed:
            return {"Access-Control-Allow-Origin": ANY}
        headers = {"Vary": "Origin"}
        if len(origins) == 1 and self._normal(origins[0]) in self._listed:
            headers["Access-Control-Allow-Origin"] = origins[0]
        return headers

    @staticmethod
    def _normal(origin: str) -> str | None:
        try:
            return normal_origin(origin)
        except ValueError:
            return None
