"""A circuit breaker: after too many failures in a row nothing is tried for a while, then one trial is.

Pure: the time is given. `resilience` asks it before each segment and tells it what became of each.
The pattern is Nygard's (Release It!, 2007).
"""

from __future__ import annotations

from enum import Enum

from attrs import define, field, frozen


class BreakerState(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@frozen
class BreakerReport:
    """A breaker at one moment, for the operator. `remaining_s` is how long it stays open."""

    state: str
    consecutive_failures: int
    remaining_s: float
    last_cause: str | None


@define
class CircuitBreaker:
    """Opens for `open_s` after `threshold` failures in a row, and again after a trial that failed.

    Whoever is admitted must say how it went, and whether theirs was the trial, as `enter` told: `succeeded`,
    `failed`, or `withdrawn` where nothing was learnt. Half-open it admits one trial at a time, and what
    was begun before it opened and ends only now changes nothing.
    """

    threshold: int
    open_s: float
    _failures: int = field(default=0, init=False)
    _open_until_s: float | None = field(default=None, init=False)
    _on_trial: bool = field(default=False, init=False)
    _last_cause: str | None = field(default=None, init=False)

    def state(self, now_s: float) -> BreakerState:
        if self._open_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until_s else BreakerState.HALF_OPEN

    def remaining_s(self, now_s: float) -> float:
        """How long nothing will be admitted; 0 unless it is open."""
        return 0.0 if self._open_until_s is None else max(self._open_until_s - now_s, 0.0)

    def admits(self, now_s: float) -> bool:
        """Whether somebody may try now; says nothing about anybody else."""
        state = self.state(now_s)
        return state is BreakerState.CLOSED or (
            state is BreakerState.HALF_OPEN and not self._on_trial
        )

    def enter(self, now_s: float) -> bool:
        """Somebody tries; `admits` must hold. Returns whether it is the trial."""
        is_trial = self.state(now_s) is BreakerState.HALF_OPEN
        self._on_trial = self._on_trial or is_trial
        return is_trial

    def succeeded(self, *, is_trial: bool) -> None:
        """It works: failures are forgotten, and the trial closes it."""
        if is_trial or self._open_until_s is None:
            self._failures = 0
            self._open_until_s = None
        self._on_trial = self._on_trial and not is_trial

    def failed(self, cause: str, now_s: float, *, is_trial: bool) -> None:
        """It failed once more."""
        self._last_cause = cause
        self._failures += 1
        if is_trial or (self._open_until_s is None and self._failures >= self.threshold):
            self._open_until_s = now_s + self.open_s
        self._on_trial = self._on_trial and not is_trial

    def withdrawn(self, *, is_trial: bool) -> None:
        """It was left before it told anything: somebody else may have the trial."""
        self._on_trial = self._on_trial and not is_trial

    def report(self, now_s: float) -> BreakerReport:
        return BreakerReport(
            state=self.state(now_s).value,
            consecutive_failures=self._failures,
            remaining_s=round(self.remaining_s(now_s), 1),
            last_cause=self._last_cause,
        )
