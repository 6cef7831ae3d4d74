"""One session: audio, commands and results in, effects out. No I/O, no waiting, no clock of its own.

Four callers, each in its own task: the receiver admits frames and interrupts, the listener hears and
obeys commands, the transcriber brings `answers`, the sender takes what the `publisher` has ready. The
ledger is settled only where results are sent (by the `publisher`), where audio is silence or rejected, and
where it is discarded. Audio comes in through `intake`; segments are made by `segmenter`, kept in order
by `queue`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime

from fasttalk_stt.audio.timeline import Timeline
from fasttalk_stt.audio.vad import VoiceDetector
from fasttalk_stt.conversation.answers import Answers
from fasttalk_stt.conversation.backchannels import Backchannels
from fasttalk_stt.conversation.barge_in import BargeIn
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.eager import EagerResults
from fasttalk_stt.conversation.effects import Effect, Hurry, Look, Ready, Say
from fasttalk_stt.conversation.effort import Effort
from fasttalk_stt.conversation.finals import voice_activity
from fasttalk_stt.conversation.intake import Frame, Intake
from fasttalk_stt.conversation.ledger import Ledger, Outcome
from fasttalk_stt.conversation.onsets import OnsetRegister
from fasttalk_stt.conversation.outcomes import Outcomes
from fasttalk_stt.conversation.publisher import Publisher, SessionStatistics
from fasttalk_stt.conversation.queue import SegmentQueue
from fasttalk_stt.conversation.resumption import OwedOnsets, words_before
from fasttalk_stt.conversation.segmenter import Segmenter, SegmenterLimits
from fasttalk_stt.conversation.segmenter_events import (
    Due,
    Onset,
    Resumed,
    SegmenterEvent,
    Silence,
)
from fasttalk_stt.conversation.segments import (
    Draft,
    Segment,
    Speculation,
)
from fasttalk_stt.protocol.client_messages import ContextUpdate, InterruptScope
from fasttalk_stt.protocol.config import (
    SessionConfig,
    change_session_config,
)
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.server_messages import (
    Configured,
    ContextData,
    ContextUpdated,
    InterruptAcknowledged,
    InterruptData,
    Metadata,
    SessionEndReason,
    SessionStarted,
    VoiceActivityDetected,
)
from fasttalk_stt.protocol.stamps import rfc3339
from fasttalk_stt.telemetry.telemetry import SessionFigures


class Session:
    """The decisions of one session. Times `now_s` are monotonic seconds, given by the caller."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        session_id: str,
        ignored_fields: tuple[str, ...],
        limits: SegmenterLimits,
        detector: VoiceDetector,
        backchannels: Backchannels,
        model: str,
        wall_clock: Callable[[], datetime],
    ) -> None:
        self.session_id = session_id
        self._config = config
        self._ignored_fields = ignored_fields
        self._model = model
        self._wall_clock = wall_clock
        self._context = Context()
        resume = config.resume
        rate = Timeline(config.sample_rate)
        origin = rate.at_ms(0 if resume is None else resume.audio_from_ms)
        committed = rate.at_ms(0 if resume is None else resume.committed_ms)
        self._timeline = Timeline(config.sample_rate, origin=origin)
        self._segmenter = Segmenter(config, limits, detector)
        self._ledger = Ledger(received=origin, committed=committed)
        self.intake = Intake(config, self._ledger, self._timeline)
        self._queue = SegmentQueue()
        self._onsets = OnsetRegister()
        self._barge_in = BargeIn(self._queue, backchannels)
        self._eager = EagerResults(timeline=self._timeline, model=model)
        self.publisher = Publisher(
            self._ledger,
            self._queue,
            self._onsets,
            timeline=self._timeline,
            model=model,
            seq=0 if resume is None else resume.seq,
        )
        self._outcomes = Outcomes(
            timeline=self._timeline,
            ledger=self._ledger,
            queue=self._queue,
            onsets=self._onsets,
            barge_in=self._barge_in,
            eager=self._eager,
            segmenter=self._segmenter,
            publisher=self.publisher,
        )
        self.answers = Answers(config, self._outcomes, self.intake.arrivals)
        self._owed_onsets = OwedOnsets(resume, self._onsets, self._timeline)
        if resume is not None:
            self._segmenter.go_on(
                self._timeline.to_pipeline(committed),
                utterances=resume.utterance - (resume.is_under_way and not resume.is_open),
                is_open=resume.is_open,
                words=words_before(resume, self._timeline),
            )

    @property
    def config(self) -> SessionConfig:
        return self._config

    def spend(self, effort: Effort) -> None:
        """Ask no more of the engine than this from now on."""
        self._segmenter.spend(effort)

    @property
    def pending_s(self) -> float:
        """Audio received that has no outcome yet."""
        return self._ledger.pending / self._config.sample_rate

    @property
    def utterance_open(self) -> bool:
        return self._segmenter.open_utterance is not None

    @property
    def requests_outstanding(self) -> int:
        """Segments closed whose text is not there yet."""
        return self._queue.unresolved()

    @property
    def waits_for_draft(self) -> bool:
        """Whether the listener must let the outstanding draft come back before it goes on."""
        return self._segmenter.waits_for_draft

    @property
    def ending(self) -> bool:
        """Whether `end` was called; what is heard afterwards is ignored."""
        return self.publisher.end_reason is not None

    def stamp(self, timestamp: str) -> Metadata:
        """The stamp of the next message that is sent in this session."""
        return self.publisher.stamp(self._config, self.session_id, timestamp)

    def statistics(self) -> SessionStatistics:
        return self.publisher.statistics(self.session_id)

    def figures(self) -> SessionFigures:
        """The session so far, for whoever watches."""
        return self.publisher.figures()

    # The receiver's side

    def admit(self, raw: bytes, now_s: float) -> tuple[list[Frame], ProtocolError | None]:
        """Count a message and its audio, and decode it: see `Intake.decode`."""
        self.publisher.chunks += 1
        return self.intake.decode(raw, now_s)

    def interrupt(self, scope: InterruptScope, now_s: float) -> list[Effect]:
        """Stop what is stale as of the last sample received; see the protocol's barge-in section.

        A flush that is cancelled is answered by an empty text before the acknowledgement.
        """
        keep_from = self._keep_from() if scope == "pending" else None

        def stale(utterance: int) -> bool:
            return keep_from is None or utterance < keep_from

        self.publisher.settle_leaving()
        cancelled = self._queue.cancel(lambda entry: stale(entry.segment.utterance))
        dropped = self._outcomes.drop(cancelled, now_s)
        if scope == "all":
            received = self._ledger.received
            self._segmenter.discard(self._timeline.to_pipeline(received))
            self._ledger.settle(0, received, Outcome.DISCARDED)
            dropped.extend(map(Say, self._eager.take_back("interrupted")))
        rejections = map(Say, self._onsets.reject_all(stale, "interrupted"))
        self._onsets.end_all(stale)
        # What was owed and is rejected now is not heard again under its number, but anew.
        last = self._owed_onsets.last_number
        self._segmenter.skip_utterances(last if keep_from is None else min(last, keep_from - 1))
        self._barge_in.end(stale)
        acknowledged = InterruptAcknowledged(
            InterruptData(
                interrupted_at=self._timestamp(),
                buffer_cleared=True,
                processing_stopped=True,
                cancelled_segments=len(cancelled),
                kept_audio_ms=self._timeline.to_ms(self._ledger.pending),
            )
        )
        return [*dropped, *rejections, Say(acknowledged), Ready()]

    def _keep_from(self) -> int | None:
        """The oldest utterance an interrupt keeps; None where it keeps none."""
        bounds = [self._segmenter.open_utterance, self._onsets.last_reported]
        known = [bound for bound in bounds if bound is not None]
        return min(known) if known else None

    # The listener's side

    def begin(self) -> list[Effect]:
        return [Say(SessionStarted(self._config, self._ignored_fields, self._model))]

    def hear(self, frame: Frame, now_s: float) -> list[Effect]:
        """Take the next frame."""
        if self.ending:
            return []
        samples = self.intake.hear(frame)
        effects = self._effects(self._segmenter.hear(samples), now_s)
        effects.extend(self._take_back_owed(self._segmenter.heard_to))
        self.intake.arrivals.forget_before(self._segmenter.cursor)
        return effects

    def flush(self, now_s: float) -> list[Effect]:
        events = self._segmenter.flush(self.intake.edge, self.intake.tail())
        return self._effects(events, now_s)

    def configure(self, changes: Mapping[str, object]) -> list[Effect]:
        """Apply a `configure`; raises `invalid_config` and changes nothing where it is wrong."""
        self._config = change_session_config(self._config, changes)
        self._segmenter.configure(self._config)
        self.answers.configure(self._config)
        return [Say(Configured(self._config))]

    def update_context(self, update: ContextUpdate) -> list[Effect]:
        before, self._context = self._context, self._context.updated(update)
        self._barge_in.change_context(before, self._context, self.intake.edge)
        self._segmenter.update_context(self._context)
        context = self._context
        return [
            Say(
                ContextUpdated(
                    ContextData(
                        conversation_state=context.conversation_state,
                        expected_response_type=context.expected_response_type,
                        language_context=context.language_context,
                    )
                )
            )
        ]

    def stall(self, now_s: float) -> list[Effect]:
        """No audio came for so long that the open utterance counts as ended."""
        events = self._segmenter.stall(self.intake.edge, self.intake.tail())
        return self._effects(events, now_s)

    def end(
        self, reason: SessionEndReason, now_s: float, *, cut_by_drain: bool = False
    ) -> list[Effect]:
        """Close what is open; `session_ended` follows when everything before it was sent.

        `cut_by_drain` leaves what follows the last whole word unsettled, for another server.
        """
        if self.ending:
            return []
        cut_by_drain = cut_by_drain and self.utterance_open
        events = self._segmenter.end(
            self.intake.edge, self.intake.tail(), cut_by_drain=cut_by_drain
        )
        if cut_by_drain:
            events = [event for event in events if not isinstance(event, Silence)]
        effects = self._effects(events, now_s)
        effects.extend(self._take_back_owed(math.inf))
        if not cut_by_drain:
            # Rounding between the clocks leaves less than a pipeline sample at the very end.
            edge = self._timeline.to_session(self._segmenter.cursor)
            self._ledger.settle(edge, self.intake.heard, Outcome.SILENCE)
        self.publisher.end_reason = reason
        return [*effects, Ready()]

    # Shared

    def _timestamp(self) -> str:
        return rfc3339(self._wall_clock())

    def _effects(self, events: list[SegmenterEvent], now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            match event:
                case Silence(start=start, end=end):
                    self._outcomes.settle(start, end, Outcome.SILENCE)
                case Onset():
                    effects.extend(self._report(event))
                case Resumed():
                    effects.extend(map(Say, self._eager.take_back("resumed")))
                case Draft() | Speculation():
                    effects.append(Look(event))
                case Due(draft=draft):
                    effects.append(Hurry(draft))
                case Segment():
                    effects.extend(self.answers.take_segment(event, now_s))
        return effects

    def _report(self, onset: Onset) -> list[Effect]:
        interrupts = self._config.barge_in_enabled and self._context.bot_is_active
        withheld = self._barge_in.begin(onset.utterance, self._context) if interrupts else 0
        if not self._config.fasttalk_mode:
            return []
        data = voice_activity(
            onset.utterance,
            onset.started,
            timeline=self._timeline,
            timestamp=self._timestamp(),
            barge_in=interrupts,
            withheld_segments=withheld,
        )
        self._onsets.report(onset.utterance, data.audio_start_ms)
        if self._owed_onsets.knows(onset.utterance):
            return []
        return [Say(VoiceActivityDetected(data))]

    def _take_back_owed(self, heard_to: float) -> list[Effect]:
        """Onsets of before the connection was lost that were not heard again by `heard_to`."""
        segmenter, owed = self._segmenter, self._owed_onsets
        rejections = owed.overdue(heard_to, segmenter.latest_utterance)
        if rejections:
            segmenter.skip_utterances(owed.last_number)
        return [Say(rejection) for rejection in rejections]
