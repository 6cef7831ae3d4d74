"""One replayed file as figures: errors, latencies, and what was wrong.

Pure: it reads a trace with `session_checks` and scores the text with `scoring`. `report` prints
what it makes.
"""

from __future__ import annotations

from attrs import field, frozen

from tools.scoring import WordErrors, normalise, word_errors
from tools.session_checks import accounting_faults, error_faults, order_faults, word_faults
from tools.trace import SessionTrace


@frozen
class Outcome:
    """The figures of one file.

    `latencies_ms` run from the moment the last sample of a segment was sent to the arrival of its
    text; `server_latencies_ms` and `processing_ms` are the server's own figures of the same
    segments. `real_time_factor` is the server's (None where it gave none). `errors` is None where
    there is no reference. `is_speech` is False for a file with no words to hear: then every word
    in `text` is invented. `faults` is empty for a file that went well.
    """

    name: str
    duration_ms: float
    wall_s: float = 0.0
    text: str = ""
    is_speech: bool = True
    errors: WordErrors | None = None
    latencies_ms: tuple[float, ...] = ()
    server_latencies_ms: tuple[float, ...] = ()
    processing_ms: tuple[float, ...] = ()
    real_time_factor: float | None = None
    lag_ms: float = 0.0
    faults: tuple[str, ...] = ()
    trace: SessionTrace | None = field(default=None, eq=False, repr=False)

    @property
    def invented_words(self) -> int:
        """Words heard where nobody spoke."""
        return 0 if self.is_speech else len(normalise(self.text).split())


def failed_outcome(name: str, reason: str) -> Outcome:
    """A file that came to no session: unreadable, or no server for it."""
    return Outcome(name=name, duration_ms=0.0, faults=(reason,))


def outcome_of(
    name: str, trace: SessionTrace, *, reference: str | None, is_speech: bool = True
) -> Outcome:
    """Judge one session."""
    faults = list(error_faults(trace))
    if trace.complete:
        faults += accounting_faults(trace) + order_faults(trace) + word_faults(trace)
    else:
        faults.append(str(trace.failure))
    ended = trace.first("session_ended") or {}
    heard = [arrival for arrival in trace.transcriptions if arrival.message["data"]["text"]]
    spans = [arrival.message["data"] for arrival in heard]
    return Outcome(
        name=name,
        duration_ms=trace.duration_ms,
        wall_s=trace.wall_s,
        text=trace.text,
        is_speech=is_speech,
        errors=None if reference is None else word_errors(reference, trace.text),
        latencies_ms=segment_latencies_ms(trace),
        server_latencies_ms=tuple(float(data["metadata"]["latency_ms"]) for data in spans),
        processing_ms=tuple(float(data["processing_time_ms"]) for data in spans),
        real_time_factor=ended.get("real_time_factor"),
        lag_ms=trace.lag_ms,
        faults=tuple(faults),
        trace=trace,
    )


def segment_latencies_ms(trace: SessionTrace) -> tuple[float, ...]:
    """From the last sample of each segment with text sent to its transcription arrived."""
    latencies_ms = []
    for arrival in trace.transcriptions:
        data = arrival.message["data"]
        if data["text"] and trace.sent:
            end_ms = data["metadata"]["audio_start_ms"] + data["audio_duration_ms"]
            latencies_ms.append((arrival.at_s - trace.sent_at_s(end_ms)) * 1000)
    return tuple(latencies_ms)
