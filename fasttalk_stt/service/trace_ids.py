"""The id that joins the log lines of one connection with those of whoever opened it.

A client that traces its requests sends the W3C header `traceparent`, as HTTP libraries with OpenTelemetry
do by themselves; its trace id then stands in every line of the connection. Others get an id of their own.
"""

from __future__ import annotations

import re
import secrets

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header: later versions may say more behind it."""


def trace_id_of(traceparent: str | None) -> str:
    """The trace id that a header names, 32 hexadecimal digits; a new one where it names none."""
    found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None or not int(found[1], 16):
        return secrets.token_hex(16)
    return found[1]
