"""Sample positions and their conversions: the only place where rates and milliseconds meet.

Two clocks count samples from the session's start. The session clock counts what the client sent, at
the client's rate: accounting and every millisecond on the wire derive from it. The pipeline clock
counts 16 kHz samples: buffering, voice activity and segments use it.
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


def pipeline_ms(samples: int) -> int:
    """A number of pipeline samples in whole milliseconds, rounded down."""
    return samples * 1000 // PIPELINE_RATE_HZ


class Timeline:
    """Converts between the two clocks of a session whose client sends at `rate_hz`.

    Both conversions round down and are monotone, so disjoint intervals stay disjoint.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz

    def to_session(self, position: int) -> SessionSample:
        return SessionSample(position * self.rate_hz // PIPELINE_RATE_HZ)

    def to_pipeline(self, position: int) -> PipelineSample:
        return PipelineSample(position * PIPELINE_RATE_HZ // self.rate_hz)

    def to_ms(self, position: int) -> int:
        """A session position in whole milliseconds, rounded down."""
        return position * 1000 // self.rate_hz
