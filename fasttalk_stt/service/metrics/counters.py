"""The totals as Prometheus counters."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from fasttalk_stt.service.metrics.families import counter
from fasttalk_stt.service.totals import Totals


def counters(totals: Totals) -> Iterator[Metric]:
    """Everything that was counted, as it is now."""
    yield counter("frames_received", "Binary messages from clients.", totals.frames)
    yield counter("audio_received_seconds", "Audio received in sessions.", totals.audio_s)
    yield counter(
        "received_bytes",
        "Payload received.",
        {"audio": totals.frame_bytes, "text": totals.text_bytes},
        "kind",
    )
    yield counter("messages_received", "Text messages from clients.", totals.text_messages)
    yield counter("sent_bytes", "Payload sent.", totals.sent_bytes)
    yield counter("messages_sent", "Messages sent, by type.", totals.messages_sent, "type")
    yield counter(
        "connections_closed",
        "Connections that are over, by our close code; none: the client left.",
        totals.closed,
        "code",
    )
    yield counter(
        "refusals", "Upgrades and recordings refused, by error code.", totals.refusals, "code"
    )
    yield counter(
        "connections_over_rate",
        "Connections refused for coming too fast or being too many, by kind of principal.",
        totals.connections_over_rate,
        "principal",
    )
    yield counter(
        "messages_over_rate",
        "Text messages dropped for coming too fast, by kind of principal.",
        totals.messages_over_rate,
        "principal",
    )
    yield counter(
        "held_back_seconds",
        "Reading paused for clients that sent too much at once, by kind of principal.",
        totals.held_back_s,
        "principal",
    )
    yield counter("sessions_started", "Sessions begun.", totals.sessions_started, "start")
    yield counter("sessions_ended", "Sessions that are over.", totals.sessions_ended, "reason")
    yield counter(
        "audio_settled_seconds",
        "What became of the audio of sessions that are over.",
        totals.audio_by_outcome_s,
        "outcome",
    )
    yield counter("transcriptions", "Final texts sent.", totals.transcriptions, "reason")
    yield counter("words", "Words in final texts sent.", totals.words)
    yield counter("onsets", "Onsets of speech reported to clients.", totals.onsets)
    yield counter("rejections", "Reported onsets taken back.", totals.rejections, "reason")
    yield counter("interrupts", "Interrupts obeyed.", totals.interrupts)
    yield counter(
        "segments_cancelled", "Segments that interrupts have cancelled.", totals.cancelled_segments
    )
    yield counter("errors", "Errors told to clients, by code.", totals.errors, "code")
    yield counter(
        "requests",
        "Requests to the engine that are over; left: wanted no more before the answer came.",
        totals.requests,
        "kind",
        "outcome",
    )
    yield counter(
        "engine_seconds",
        "Engine time of the answers to streams, without recordings'.",
        totals.compute_s,
    )
    yield counter("retries", "Tries again of segments that failed.", totals.retries)
    yield counter(
        "breaker_moves",
        "Changes of a circuit breaker to a state.",
        totals.breaker_moves,
        "breaker",
        "state",
    )
