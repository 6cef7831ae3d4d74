"""Sample positions and their conversions: the only place where rates and milliseconds meet.

The session clock counts what the client sent since the session's start, at the client's rate:
accounting and every millisecond on the wire derive from it. The pipeline clock counts 16 kHz samples
from the first one that this server was sent: buffering, voice activity and segments use it. The two
begin together, but in a session that goes on from a lost connection.
"""

from __future__ import annotations

from typing import NewType

PIPELINE_RATE_HZ = 16_000
"""The rate of all audio behind the resampler."""

SessionSample = NewType("SessionSample", int)
"""A position or length on the session clock, in samples at the client's rate."""

PipelineSample = NewType("PipelineSample", int)
"""A position or length on the pipeline clock, in samples at 16 kHz."""


def pipeline_samples(duration_s: float) -> PipelineSample:
    """A duration in seconds as a number of pipeline samples, rounded down."""
    return PipelineSample(int(duration_s * PIPELINE_RATE_HZ))


class Timeline:
    """Converts between the two clocks of a session whose client sends at `rate_hz`.

    `origin` is where the pipeline's first sample lies on the session clock. Both conversions round down
    and are monotone, so disjoint intervals stay disjoint.
    """

    def __init__(self, rate_hz: int, *, origin: int = 0) -> None:
        self.rate_hz = rate_hz
        self.origin = origin

    def to_session(self, position: int) -> SessionSample:
        return SessionSample(self.origin + position * self.rate_hz // PIPELINE_RATE_HZ)

    def to_pipeline(self, position: int) -> PipelineSample:
        return PipelineSample((position - self.origin) * PIPELINE_RATE_HZ // self.rate_hz)

    def to_ms(self, position: int) -> int:
        """A session position in whole milliseconds, rounded down."""
        return position * 1000 // self.rate_hz

    def at_ms(self, position_ms: int) -> SessionSample:
        """The session position of a millisecond, rounded down."""
        return SessionSample(position_ms * self.rate_hz // 1000)
