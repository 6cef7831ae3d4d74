"""The trace that a connection belongs to, by which its log lines and spans are found.

A client that traces its requests sends the W3C header `traceparent`, as HTTP libraries with OpenTelemetry
do by themselves. Others get a trace of their own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRACEPARENT = re.compile(
    r"(?:00|(?P<later>(?!00|ff)[0-9a-f]{2}))-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    r"(?(later)(?:-.{0,200})?)"
)
"""https://www.w3.org/TR/trace-context/#traceparent-header: versions behind 00 may say more at the end, which
is bounded, as OpenTelemetry does it."""

_current: ContextVar[str | None] = ContextVar("fasttalk_stt_traceparent", default=None)


@contextmanager
def following(traceparent: str | None) -> Iterator[str]:
    """What happens inside, in tasks that begin there too, belongs to the trace that this header names, or
    to a new one; gives its id, 32 hexadecimal digits."""
    found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent.strip())
    is_usable = found is not None and int(found["trace"], 16) and int(found["parent"], 16)
    token = _current.set(found[0] if found is not None and is_usable else None)
    try:
        yield found["trace"] if found is not None and is_usable else secrets.token_hex(16)
    finally:
        _current.reset(token)


def current_traceparent() -> str | None:
    """The header of the client whose connection this is; None where it sent no usable one."""
    return _current.get()
