"""How long a call of the engine may take until the `scheduler` gives its requests up."""

from __future__ import annotations

from collections.abc import Sequence

from fasttalk_stt.inference.job import Job
from fasttalk_stt.inference.policy import Priority

LONGEST_CALL_S = 10.0
LONGEST_RECORDING_CALL_S = 120.0
"""Of up to 26 s of speech, for which nobody waits as for an answer: on a processor that is busy with other
work a small model takes longer than a conversation would bear."""
SHORTEST_CALL_LIMIT_S = 4.0
CALL_LIMIT_FACTOR = 20.0
"""A doubtful request is asked five times at most, up to four times as dear as the first, and a machine may be
busy with other work."""
SHORT_REQUEST_S = 3.0
"""What `Engine.request_s` is measured with."""


def call_limit_s(batch: Sequence[Job], *, request_s: float, longest_s: float) -> float:
    """By how much there is to decode, `longest_s` at most, and for a recording longer than for a stream.
    `request_s` is the engine's."""
    if batch[0].urgency.priority is Priority.RECORDING:
        longest_s = max(longest_s, LONGEST_RECORDING_CALL_S)
    if not request_s:
        return longest_s
    lengths = sum(max(job.request.duration_s / SHORT_REQUEST_S, 1.0) for job in batch)
    return min(SHORTEST_CALL_LIMIT_S + CALL_LIMIT_FACTOR * request_s * lengths, longest_s)
