"""What a server says when it refuses an upgrade: status, Retry-After and the JSON of its body."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime

from fasttalk_stt.client.errors import RefusedError, refused

MAX_BODY_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 3600.0
"""More than anyone's patience; a proxy may say anything."""


def read_refusal(
    where: str, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> RefusedError:
    """The exception for an answer that is not 101."""
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    code, said, told_s = _read_body(body)
    retry_after_s = _retry_after_s(named)
    if retry_after_s is None:
        retry_after_s = told_s
    line = f"{where}: the server refused the connection with HTTP {status}"
    if said:
        line += f": {said}"
    if retry_after_s is not None:
        line += f" (try again in {retry_after_s:g} s)"
    return refused(line, status=status, code=code, retry_after_s=retry_after_s)


def _retry_after_s(headers: dict[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        wait_s: float | None = float(value)
    except ValueError:
        wait_s = _until(value, headers.get("date", ""))
    return _bounded(wait_s)


def _bounded(wait_s: object) -> float | None:
    """What somebody said, if it is a number: from 0 to `MAX_RETRY_AFTER_S`."""
    if not isinstance(wait_s, int | float):
        return None
    # Clamped first: a whole number may be too large for a float.
    bounded_s = float(min(max(wait_s, 0), MAX_RETRY_AFTER_S))
    return None if math.isnan(bounded_s) else bounded_s


def _until(date: str, now: str) -> float | None:
    """Seconds from the answer's own date to another one; None where they cannot be read."""
    moments: list[datetime] = []
    for text in (date, now):
        try:
            moments.append(parsedate_to_datetime(text))
        except ValueError:
            return None
    try:
        return (moments[0] - moments[1]).total_seconds()
    except TypeError:
        return None


def _read_body(body: bytes) -> tuple[str | None, str, float | None]:
    """Code, sentence and retry_after: of our JSON, or the first line of whatever a proxy said."""
    text = body.decode("utf-8", errors="replace").strip()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None, text.splitlines()[0][:200] if text else "", None
    if not isinstance(document, dict):
        return None, text[:200], None
    error = document.get("error", document)
    if not isinstance(error, dict):
        return None, str(error)[:200], None
    code, message, wait_s = error.get("code"), error.get("message"), error.get("retry_after")
    said = ": ".join(str(part)[:400] for part in (code, message) if part)
    return (
        code if isinstance(code, str) else None,
        said,
        _bounded(wait_s),
    )
