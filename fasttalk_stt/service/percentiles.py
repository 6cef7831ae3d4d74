"""Percentiles of a few hundred values, by nearest rank."""

from __future__ import annotations

import math
from collections.abc import Iterable


def percentiles(values: Iterable[float], *shares: float) -> list[float | None]:
    """For each share (0-1) the smallest value that is not below it of all; None without any."""
    ordered = sorted(values)
    return [_at(ordered, share) for share in shares]


def _at(ordered: list[float], share: float) -> float | None:
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None
