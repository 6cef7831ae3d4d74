"""One session: audio, commands and results in, effects out. No I/O, no waiting, no clock of its own.

Four callers, each in its own task: the receiver admits frames and interrupts, the listener hears and
obeys commands, the transcriber resolves what it was asked for, the sender takes what is ready. The
ledger is settled only where results are sent (`take_ready`), where audio is silence or rejected, and
where it is discarded. Segments are made by `segmenter`, kept in order by `queue`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.resampling import StreamResampler
from fasttalk_stt.audio.timeline import Timeline
from fasttalk_stt.audio.vad import VoiceDetector
from fasttalk_stt.conversation.arrivals import ArrivalLog
from fasttalk_stt.conversation.backchannels import Backchannels
from fasttalk_stt.conversation.barge_in import BargeIn
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.eager import EagerResults
from fasttalk_stt.conversation.effects import Decode, Effect, Hurry, Look, Ready, Say
from fasttalk_stt.conversation.effort import Effort
from fasttalk_stt.conversation.finals import partial, voice_activity
from fasttalk_stt.conversation.ledger import Ledger, Outcome
from fasttalk_stt.conversation.onsets import OnsetRegister
from fasttalk_stt.conversation.outcomes import Outcomes
from fasttalk_stt.conversation.publisher import Publisher, SessionStatistics
from fasttalk_stt.conversation.queue import SegmentQueue
from fasttalk_stt.conversation.resumption import OwedOnsets
from fasttalk_stt.conversation.segmenter import Segmenter, SegmenterLimits
from fasttalk_stt.conversation.segmenter_events import (
    Due,
    Onset,
    Resumed,
    SegmenterEvent,
    Silence,
)
from fasttalk_stt.conversation.segments import (
    NOTHING_HEARD,
    Draft,
    Entry,
    Failure,
    Heard,
    HeardWord,
    Segment,
    Speculation,
)
from fasttalk_stt.protocol.client_messages import ContextUpdate, InterruptScope
from fasttalk_stt.protocol.config import (
    SessionConfig,
    change_session_config,
)
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.pcm import PcmDecoder
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

REPLAY_AHEAD_S = 1.0
"""A client that has sent this much more than a microphone would have is faster than real time."""
CATCH_UP_S = 30.0
"""So much more may have been sent where a session goes on: what the lost connection left unsettled comes
at once, and whoever waits for its text is as live as before."""


@frozen(eq=False)
class Frame:
    """One binary message as the receiver admitted it: float32[n] at the client's rate.

    The samples of a rejected frame are silence; their place in time is kept.
    """

    samples: npt.NDArray[np.float32]
    arrived_at_s: float


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
        self._origin = rate.at_ms(0 if resume is None else resume.audio_from_ms)
        committed = rate.at_ms(0 if resume is None else resume.committed_ms)
        self._timeline = Timeline(config.sample_rate, origin=self._origin)
        self._decoder = PcmDecoder(config.encoding, config.sample_rate)
        self._resampler = StreamResampler(config.sample_rate)
        self._segmenter = Segmenter(config, limits, detector)
        self._arrivals = ArrivalLog()
        self._first_frame_s: float | None = None
        # Session samples; behind what was received by the frames in between.
        self._heard: int = self._origin
        self._ledger = Ledger(received=self._origin, committed=committed)
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
        self._owed_onsets = OwedOnsets(resume, self._onsets, self._timeline)
        if resume is not None:
            self._segmenter.go_on(
                self._timeline.to_pipeline(committed),
                utterances=resume.utterance - (resume.is_under_way and not resume.is_open),
                is_open=resume.is_open,
            )

    @property
    def config(self) -> SessionConfig:
        return self._config

    def spend(self, effort: Effort) -> None:
        """Ask no more of the engine than this from now on."""
        self._segmenter.spend(effort)

    @property
    def received_s(self) -> float:
        return self._ledger.received / self._config.sample_rate

    @property
    def pending_s(self) -> float:
        """Audio received that has no outcome yet."""
        return self._ledger.pending / self._config.sample_rate

    @property
    def unheard_s(self) -> float:
        """Audio received that waits to be heard."""
        return (self._ledger.received - self._heard) / self._config.sample_rate

    def is_live(self, now_s: float) -> bool:
        """Whether the client sends no faster than real time."""
        if self._first_frame_s is None:
            return True
        sent_s = (self._ledger.received - self._origin) / self._config.sample_rate
        ahead_s = REPLAY_AHEAD_S if self._config.resume is None else CATCH_UP_S
        return sent_s <= now_s - self._first_frame_s + ahead_s

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

    def is_stale(self, request: Draft | Speculation) -> bool:
        """Whether nobody wants the answer any more."""
        if isinstance(request, Speculation) and request.adopted_by is not None:
            return request.adopted_by.cancelled
        return request.generation != self._segmenter.generation

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
        """Count a message's audio and decode it.

        A message that is rejected is discarded and becomes silence, in pieces of at most 1 s: it may
        be far longer, and hearing it must not hold the event loop.
        """
        n_samples = self._decoder.whole_samples(raw)
        start = self._ledger.received
        self._ledger.receive(n_samples)
        self.publisher.chunks += 1
        if self._first_frame_s is None:
            self._first_frame_s = now_s
        try:
            return [Frame(self._decoder.decode(raw), now_s)], None
        except ProtocolError as error:
            self._ledger.settle(start, start + n_samples, Outcome.DISCARDED)
            stand_in = np.zeros(n_samples, dtype=np.float32)
            piece = self._config.sample_rate
            pieces = (stand_in[i : i + piece] for i in range(0, n_samples, piece))
            return [Frame(samples, now_s) for samples in pieces], error

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
        start = self._timeline.to_pipeline(self._heard)
        self._heard += len(frame.samples)
        self._arrivals.add(start, self._timeline.to_pipeline(self._heard), frame.arrived_at_s)
        samples = self._resampler.push(frame.samples)
        effects = self._effects(self._segmenter.hear(samples), now_s)
        effects.extend(self._take_back_owed(self._segmenter.heard_to))
        self._arrivals.forget_before(self._segmenter.cursor)
        return effects

    def flush(self, now_s: float) -> list[Effect]:
        events = self._segmenter.flush(self._edge, self._resampler.tail())
        return self._effects(events, now_s)

    def configure(self, changes: Mapping[str, object]) -> list[Effect]:
        """Apply a `configure`; raises `invalid_config` and changes nothing where it is wrong."""
        self._config = change_session_config(self._config, changes)
        self._segmenter.configure(self._config)
        return [Say(Configured(self._config))]

    def update_context(self, update: ContextUpdate) -> list[Effect]:
        before, self._context = self._context, self._context.updated(update)
        self._barge_in.change_context(before, self._context, self._edge)
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
        events = self._segmenter.stall(self._edge, self._resampler.tail())
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
        events = self._segmenter.end(self._edge, self._resampler.tail(), cut_by_drain=cut_by_drain)
        if cut_by_drain:
            events = [event for event in events if not isinstance(event, Silence)]
        effects = self._effects(events, now_s)
        effects.extend(self._take_back_owed(math.inf))
        if not cut_by_drain:
            # Rounding between the clocks leaves less than a pipeline sample at the very end.
            edge = self._timeline.to_session(self._segmenter.cursor)
            self._ledger.settle(edge, self._heard, Outcome.SILENCE)
        self.publisher.end_reason = reason
        return [*effects, Ready()]

    # The transcriber's side

    def resolve(self, entry: Entry, outcome: Heard | Failure, now_s: float) -> list[Effect]:
        """Note what became of a segment."""
        if isinstance(outcome, Heard):
            self.publisher.add_compute(outcome.compute_ms)
        return self._outcomes.resolve(entry, outcome, now_s)

    def renew(self, draft: Draft) -> None:
        """The engine takes a draft up: let it look at all that is open by now."""
        self._segmenter.looks.renew(draft)

    def resolve_draft(self, draft: Draft, heard: Heard | None, now_s: float) -> list[Effect]:
        """Note what a draft heard (None: it failed): words are committed, a partial may follow."""
        if heard is not None:
            self.publisher.add_compute(heard.compute_ms)
        if self.is_stale(draft):
            return []
        effects: list[Effect] = []
        committed = self._segmenter.looks.commit(draft, heard)
        if committed is not None:
            entry = self._entry(committed.segment, now_s)
            self._queue.add(entry)
            effects.extend(self._outcomes.resolve(entry, committed.heard, now_s))
        if heard is not None:
            n_committed = 0 if committed is None else len(committed.heard.words)
            effects.extend(self._partial(draft.utterance, draft.edge, heard.words[n_committed:]))
        return effects

    def resolve_speculation(
        self, speculation: Speculation, heard: Heard | None, now_s: float
    ) -> list[Effect]:
        """Note what was said before a pause (None: that failed).

        Where the utterance ended meanwhile it is the segment's text; a failure is tried again as the
        segment's own request.
        """
        if heard is not None:
            self.publisher.add_compute(heard.compute_ms)
        if self.is_stale(speculation):
            return []
        entry = speculation.adopted_by
        if entry is not None:
            return [Decode(entry)] if heard is None else self._outcomes.resolve(entry, heard, now_s)
        if heard is None:
            self._segmenter.forget_speculation()
            return []
        speculation.heard = heard
        self._segmenter.consider(speculation)
        segment = speculation.segment
        return [
            *self._tell_eagerly(speculation, heard, now_s),
            *self._partial(segment.utterance, segment.end, heard.words),
        ]

    def judge_turn(self, speculation: Speculation, probability: float) -> None:
        """Note how much the speaker sounded done before a pause (0-1)."""
        speculation.turn_probability = probability
        self._segmenter.consider(speculation)

    # Shared

    @property
    def _edge(self) -> int:
        return self._timeline.to_pipeline(self._heard)

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
                    effects.extend(self._close(event, now_s))
        return effects

    def _close(self, segment: Segment, now_s: float) -> list[Effect]:
        """A segment is closed: its text is known, on its way, or to be asked for."""
        entry = self._entry(segment, now_s)
        self._queue.add(entry)
        speculation = segment.speculation
        if speculation is None:
            retracted = map(Say, self._eager.take_back("superseded"))
            if segment.speech is not None:
                return [*retracted, Decode(entry)]
            return [*retracted, *self._outcomes.resolve(entry, NOTHING_HEARD, now_s)]
        self._eager.keep()
        speculation.adopted_by = entry
        if speculation.heard is None:
            return [Hurry(speculation)]
        return self._outcomes.resolve(entry, speculation.heard, now_s)

    def _tell_eagerly(self, speculation: Speculation, heard: Heard, now_s: float) -> list[Effect]:
        """Show the text as it stands at a pause. Only where nothing older is still to be sent, and
        not what may yet be rejected."""
        if not self._config.eager_results or not heard.text or len(self._queue):
            return []
        entry = self._entry(speculation.segment, now_s)
        if self._outcomes.is_backchannel(entry, heard):
            return []
        return [Say(self._eager.show(speculation, entry, heard, now_s))]

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

    def _entry(self, segment: Segment, now_s: float) -> Entry:
        return Entry(
            segment=segment,
            closed_at_s=now_s,
            arrived_at_s=self._arrivals.arrived_at_s(segment.end, now_s),
            chunks=self._arrivals.chunks(segment.start, segment.end),
            end=segment.end,
            with_times=self._config.enable_timestamps,
            report_speech_end=self._config.fasttalk_mode,
            spoken_at_s=self._arrivals.arrived_at_s(min(segment.speech_end, segment.end), now_s),
        )

    def _partial(self, utterance: int, edge: int, open_words: Sequence[HeardWord]) -> list[Effect]:
        """Show the utterance so far, if asked for. Not while a final is outstanding: its text comes
        first."""
        if not self._config.interim_results or not open_words or self._queue.unresolved():
            return []
        message = partial(
            utterance,
            self.publisher.text_so_far(utterance),
            open_words,
            start=self._segmenter.utterance_start,
            edge=edge,
            timeline=self._timeline,
        )
        return [Say(message)]
