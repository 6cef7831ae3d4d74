"""What leaves a session, in order: the one place where segments are settled as they are sent.

The sender asks `take_ready` for the messages of the next segment that is ready, and stamps each
message with `stamp` at the moment of sending, so that `audio_committed_ms` never runs ahead of what
the client was sent.
"""

from __future__ import annotations

from attrs import frozen

from fasttalk_stt.audio.timeline import Timeline
from fasttalk_stt.conversation.finals import position_ms, transcription
from fasttalk_stt.conversation.ledger import Ledger, Outcome
from fasttalk_stt.conversation.onsets import OnsetRegister
from fasttalk_stt.conversation.queue import SegmentQueue
from fasttalk_stt.conversation.segments import NOTHING_HEARD, Entry, Failure, Heard
from fasttalk_stt.protocol.codec import error_message
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.server_messages import (
    Metadata,
    RejectionReason,
    ServerMessage,
    SessionEnded,
    SessionEndReason,
    SpeechEnded,
    SpeechEndedData,
)
from fasttalk_stt.telemetry.telemetry import SessionFigures

_ENDS_OF_SPEECH = frozenset({"speech_end", "max_silence"})
"""Reasons of a segment behind which nobody speaks."""


@frozen
class SessionStatistics:
    """One session in figures, for the operator.

    `total_chunks` counts frames received, `total_processing_time_s` the engine's time,
    `average_latency_s` is the mean over the finals sent of last sample received to final sent,
    `real_time_factor` is engine time over audio received (0 before any audio).
    """

    session_id: str
    total_chunks: int
    total_processing_time_s: float
    average_latency_s: float
    real_time_factor: float


@frozen
class Settlement:
    """Pending samples of [start, end) on the pipeline clock get this outcome."""

    start: int
    end: int
    outcome: Outcome


@frozen
class Publication:
    """A message and the settlement that takes effect with it; either may be missing.

    With the text of an utterance's end, `since_speech_s` is how long ago its speech was over.
    """

    message: ServerMessage | None = None
    settlement: Settlement | None = None
    since_speech_s: float | None = None


class Publisher:
    """The outgoing side of one session."""

    def __init__(
        self,
        ledger: Ledger,
        queue: SegmentQueue,
        onsets: OnsetRegister,
        *,
        timeline: Timeline,
        model: str,
        seq: int = 0,
    ) -> None:
        """`seq` is the last one that was given to a message of the session."""
        self._ledger = ledger
        self._queue = queue
        self._onsets = onsets
        self._timeline = timeline
        self._model = model
        self._seq = seq
        self._finals = 0
        self._compute_ms = 0.0
        self._latency_ms = 0.0
        self._leaving: list[Publication] = []
        self.chunks = 0
        self.end_reason: SessionEndReason | None = None
        self.ended = False

    def take_ready(self, now_s: float) -> list[Publication] | None:
        """What the next segment that is ready has to say; None if none is ready.

        Each publication must be passed to `settle` just before its message is stamped. The last
        thing a session yields is its `session_ended`.
        """
        entry = self._queue.take_ready()
        if entry is not None:
            self._leaving = self._publications(entry, now_s)
            return list(self._leaving)
        if self.end_reason is not None and not len(self._queue) and not self.ended:
            self.ended = True
            return [Publication(self._session_ended(self.end_reason))]
        return None

    def settle(self, publication: Publication) -> None:
        """Give the audio behind a publication its outcome."""
        if publication in self._leaving:
            self._leaving.remove(publication)
        settlement = publication.settlement
        if settlement is not None:
            start = self._timeline.to_session(settlement.start)
            end = self._timeline.to_session(settlement.end)
            # A session that goes on may end before it was sent all that is committed.
            self._ledger.settle(start, min(end, self._ledger.received), settlement.outcome)

    def settle_leaving(self) -> None:
        """Settle what was taken and is on its way out, so that nothing else may settle it."""
        for publication in list(self._leaving):
            self.settle(publication)

    def empty_answer(self, entry: Entry, now_s: float) -> ServerMessage:
        """The answer to a flush whose audio was discarded."""
        entry.end = entry.segment.start
        return self._final(entry, NOTHING_HEARD, now_s)

    def stamp(self, config: SessionConfig, session_id: str, timestamp: str) -> Metadata:
        """The stamp of the next message of this session; call it in sending order."""
        self._seq += 1
        return Metadata(
            session_id=session_id,
            timestamp=timestamp,
            seq=self._seq,
            audio_committed_ms=self._timeline.to_ms(self._ledger.committed),
            conversation_id=config.conversation_id,
            user_id=config.user_id,
        )

    def text_so_far(self, utterance: int) -> str:
        """The text of an utterance that is sent or ready to be sent, as the engine spaced it."""
        return self._onsets.text(utterance) + self._queue.text(utterance)

    def statistics(self, session_id: str) -> SessionStatistics:
        return SessionStatistics(
            session_id=session_id,
            total_chunks=self.chunks,
            total_processing_time_s=self._compute_ms / 1000,
            average_latency_s=self._latency_ms / 1000 / self._finals if self._finals else 0.0,
            real_time_factor=self._real_time_factor(),
        )

    def figures(self) -> SessionFigures:
        """The session so far, for whoever watches."""
        return SessionFigures(
            audio_s=self._ledger.counted / self._timeline.rate_hz,
            real_time_factor=self._real_time_factor(),
            account=self._ledger.totals().account(self._timeline.rate_hz),
        )

    def add_compute(self, compute_ms: float) -> None:
        """Count the engine time of an answer that came. That of requests left behind is not known."""
        self._compute_ms += compute_ms

    def _real_time_factor(self) -> float:
        received_ms = self._timeline.to_ms(self._ledger.counted)
        return round(self._compute_ms / received_ms, 4) if received_ms else 0.0

    def _publications(self, entry: Entry, now_s: float) -> list[Publication]:
        segment, outcome = entry.segment, entry.outcome
        if isinstance(outcome, Failure):
            discarded = Settlement(segment.start, segment.end, Outcome.DISCARDED)
            told = Publication(error_message(outcome.error), discarded)
            return [told, *self._end_of_utterance(entry, "failed")]
        if outcome is None:
            raise RuntimeError("a segment was taken before it had its outcome")
        if entry.is_backchannel and not self._onsets.text(segment.utterance):
            transcribed = Settlement(segment.start, entry.end, Outcome.TRANSCRIBED)
            self._onsets.end(segment.utterance)
            go_on = self._onsets.reject(segment.utterance, "backchannel", text=outcome.text)
            return [Publication(go_on, transcribed)]
        if outcome.text:
            transcribed = Settlement(segment.start, entry.end, Outcome.TRANSCRIBED)
            self._onsets.add_text(segment.utterance, outcome.raw_text)
            final = Publication(
                self._final(entry, outcome, now_s),
                transcribed,
                since_speech_s=_since_speech_s(entry, now_s),
            )
            return [*self._end_of_utterance(entry, "noise"), final]
        silence = Settlement(segment.start, entry.end, Outcome.SILENCE)
        answer = self._final(entry, outcome, now_s) if segment.answers_flush else None
        reason: RejectionReason = "too_short" if segment.speech is None else "noise"
        return [Publication(answer, silence), *self._end_of_utterance(entry, reason)]

    def _final(self, entry: Entry, heard: Heard, now_s: float) -> ServerMessage:
        message = transcription(
            entry, heard, timeline=self._timeline, model=self._model, sent_at_s=now_s
        )
        self._finals += 1
        self._latency_ms += message.data.metadata.latency_ms
        return message

    def _end_of_utterance(self, entry: Entry, reason: RejectionReason) -> list[Publication]:
        """What follows from the end of an utterance: its speech is over, or it never was any."""
        segment = entry.segment
        if not segment.ends_utterance:
            return []
        had_text = bool(self._onsets.text(segment.utterance))
        self._onsets.end(segment.utterance)
        if not had_text:
            rejection = self._onsets.reject(segment.utterance, reason)
            return [] if rejection is None else [Publication(rejection)]
        if not entry.report_speech_end:
            return []
        data = SpeechEndedData(
            utterance=segment.utterance,
            audio_start_ms=position_ms(self._timeline, segment.speech_start),
            audio_end_ms=position_ms(self._timeline, segment.speech_end),
        )
        return [Publication(SpeechEnded(data))]

    def _session_ended(self, reason: SessionEndReason) -> SessionEnded:
        return SessionEnded(
            reason=reason,
            audio=self._ledger.totals().account(self._timeline.rate_hz),
            segments=self._finals,
            real_time_factor=self._real_time_factor(),
        )


def _since_speech_s(entry: Entry, now_s: float) -> float | None:
    """How long ago the speech was over whose last text leaves now; None where it was cut."""
    if entry.segment.reason not in _ENDS_OF_SPEECH:
        return None
    return max(now_s - entry.spoken_at_s, 0.0)
