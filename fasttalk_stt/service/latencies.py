"""How late texts are: which of them count, and percentiles of a few hundred values."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fasttalk_stt.protocol.server_messages import SegmentReason


def is_waited_for(reason: SegmentReason) -> bool:
    """Whether somebody waits for a text. Words that are committed while somebody speaks on come when they
    are stable, a second late by design, and would hide what is wrong with the others."""
    return reason != "buffer_full"


def percentiles(values: Iterable[float], *shares: float) -> list[float | None]:
    """For each share (0-1) the smallest value that is not below it of all, by nearest rank; None without
    any."""
    ordered = sorted(values)
    return [_at(ordered, share) for share in shares]


def _at(ordered: list[float], share: float) -> float | None:
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None
