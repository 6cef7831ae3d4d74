"""Intervals, percentiles and interpolation. Pure numbers; nothing of audio or sessions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen


@frozen
class Rate:
    """Events per hour with the exact 95 % interval of a Poisson count."""

    count: int
    hours: float
    per_hour: float
    low_per_hour: float
    high_per_hour: float


def rate_per_hour(count: int, hours: float) -> Rate:
    """Raises ValueError where nothing was listened to."""
    if hours <= 0:
        raise ValueError(f"{hours} hours: a rate needs some time")
    low, high = poisson_interval(count)
    return Rate(count, hours, count / hours, low / hours, high / hours)


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact (Garwood, 1936) interval of a Poisson mean of which `count` events were seen."""
    tail = (1 - confidence) / 2
    low = 0.0
    if count:
        low = _solve(lambda mean: 1 - _poisson_cdf(count - 1, mean) - tail, 0.0, float(count))
    ceiling = count + 10 * math.sqrt(count + 1) + 10
    high = _solve(lambda mean: tail - _poisson_cdf(count, mean), float(count), ceiling)
    return low, high


def percentiles(values: Iterable[float], *points: float) -> dict[str, Any]:
    """{"p50": ..., "count": n} rounded to 0.1, interpolated; None where there are no values."""
    known = list(values)
    found: dict[str, Any] = {
        f"p{point:g}": round(float(np.percentile(known, point)), 1) if known else None
        for point in points
    }
    return found | {"count": len(known)}


def interpolated(points: Sequence[tuple[float, float]], at: float) -> float | None:
    """The y at x = `at` on the line through the points (x, y); None outside of them."""
    ordered = sorted(points)
    if not ordered or not ordered[0][0] <= at <= ordered[-1][0]:
        return None
    return float(np.interp(at, [x for x, _ in ordered], [y for _, y in ordered]))


@frozen
class Estimate:
    """A figure with its 95 % bootstrap interval; `used` of the resamplings gave a figure."""

    value: float | None
    low: float | None
    high: float | None
    used: int


def bootstrap(
    n_items: int,
    figure: Callable[[npt.NDArray[np.int64]], float | None],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> Estimate:
    """The figure of all items, and of `rounds` drawings of as many with replacement.

    `figure` takes indices (int[n_items]) and may answer None where they do not suffice.
    """
    rng = np.random.default_rng(seed)
    drawn = (figure(rng.integers(0, n_items, n_items)) for _ in range(rounds if n_items else 0))
    values = [value for value in drawn if value is not None]
    value = figure(np.arange(n_items)) if n_items else None
    if not values:
        return Estimate(value, None, None, 0)
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(values))


def _poisson_cdf(count: int, mean: float) -> float:
    if mean <= 0:
        return 1.0
    log_mean = math.log(mean)
    return math.fsum(math.exp(k * log_mean - mean - math.lgamma(k + 1)) for k in range(count + 1))


def _solve(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses zero, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
