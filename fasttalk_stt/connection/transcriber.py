"""The transcriber: asks the engine for segments and drafts, one task each under its own scope.

It knows how to ask, how long to wait and whom to cancel. What an answer means is the session's
business, in which order answers leave the sender's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import structlog
import trio
from attrs import define

from fasttalk_stt.connection.ears import JudgeTurn
from fasttalk_stt.connection.live import LiveSession, Work
from fasttalk_stt.conversation.effects import Effect
from fasttalk_stt.conversation.segments import (
    Draft,
    Entry,
    Failure,
    Heard,
    HeardWord,
    Speculation,
    Speech,
)
from fasttalk_stt.conversation.spoken import spoken_words
from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    GpuError,
    GpuMemoryExhaustedError,
)
from fasttalk_stt.inference.policy import Priority, Urgency
from fasttalk_stt.inference.quality import speech_words
from fasttalk_stt.inference.resilience import Resilience
from fasttalk_stt.protocol.errors import (
    GPU_ERROR,
    GPU_MEMORY_EXHAUSTION,
    GPU_UNAVAILABLE,
    SERVICE_UNAVAILABLE,
    TRANSCRIPTION_FAILED,
    TRANSCRIPTION_TIMEOUT,
    ErrorKind,
    ProtocolError,
)

_WORD_TIME_ERROR_S = 0.1
"""Word times from cross-attention are wrong by this much at times."""

_log = structlog.get_logger(__name__)

_KINDS: dict[type[EngineError], ErrorKind] = {
    GpuMemoryExhaustedError: GPU_MEMORY_EXHAUSTION,
    GpuError: GPU_ERROR,
    EngineTimeoutError: TRANSCRIPTION_TIMEOUT,
}
_WHAT_HAPPENED = {
    GPU_MEMORY_EXHAUSTION.code: "The GPU has no memory for a segment, which was skipped.",
    GPU_ERROR.code: "The GPU failed on a segment, which was skipped.",
    TRANSCRIPTION_TIMEOUT.code: "A segment had no text in time and was skipped; the server is "
    "overloaded or its model hangs.",
    TRANSCRIPTION_FAILED.code: "The model failed on a segment, which was skipped.",
    SERVICE_UNAVAILABLE.code: "The model has failed again and again and rests; a segment was "
    "skipped.",
}
_GO_ON = "The session goes on; say it again."

Perform = Callable[[LiveSession, Iterable[Effect]], Awaitable[None]]


class Transcriber:
    """Owns the receiving end of the work channel."""

    def __init__(
        self,
        work: trio.MemoryReceiveChannel[Work],
        resilience: Resilience,
        *,
        timeout_s: float,
        judge_turn: JudgeTurn | None,
        perform: Perform,
        is_recording: bool = False,
    ) -> None:
        """`timeout_s` is how long a closed segment may wait for its text. Without `judge_turn` ends
        of turns are judged by words and silence alone. What `is_recording` asks gives way to all streams."""
        self._work = work
        self._resilience = resilience
        self._timeout_s = timeout_s
        self._judge_turn = judge_turn
        self._perform = perform
        self._is_recording = is_recording
        self._scopes: dict[Entry | Draft | Speculation, trio.CancelScope] = {}
        self._urgencies: dict[Draft | Speculation, Urgency] = {}
        self._judging: dict[Speculation, trio.CancelScope] = {}
        self._answered = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        async with self._work, trio.open_nursery() as nursery:
            async for work in self._work:
                match work.request:
                    case Entry() as entry:
                        nursery.start_soon(self._decode, work.live, entry)
                    case Draft() as draft:
                        nursery.start_soon(self._draft, work.live, draft)
                    case Speculation() as speculation:
                        nursery.start_soon(self._speculate, work.live, speculation)
                        if self._judge_turn is not None:
                            nursery.start_soon(
                                self._judge, work.live, speculation, self._judge_turn
                            )

    async def wait_answer(self) -> None:
        """Wait until the next request is over."""
        await self._answered.park()

    def cancel(self, entries: Iterable[Entry]) -> None:
        """Leave the wait for these entries, whatever the engine is doing."""
        for entry in entries:
            if entry in self._scopes:
                self._scopes[entry].cancel()

    def hurry(self, request: Draft | Speculation) -> None:
        """Make a request as urgent as what it has become."""
        if request in self._urgencies:
            self._resilience.scheduler.hurry(self._urgencies[request], self._priority(request))

    def cancel_stale(self, live: LiveSession) -> None:
        """Leave the wait for drafts, speculations and judgements that nobody wants any more."""
        for request, scope in (*self._scopes.items(), *self._judging.items()):
            if not isinstance(request, Entry) and live.session.answers.is_stale(request):
                scope.cancel()

    async def _decode(self, live: LiveSession, entry: Entry) -> None:
        try:
            with trio.CancelScope() as scope:
                self._scopes[entry] = scope
                if entry.cancelled:
                    return
                entry.requested_at_s = trio.current_time()
                outcome = await self._final(live, entry)
                effects = live.session.answers.resolve(entry, outcome, trio.current_time())
        finally:
            del self._scopes[entry]
            self._answered.unpark_all()
        if not scope.cancelled_caught:
            await self._perform(live, effects)

    async def _final(self, live: LiveSession, entry: Entry) -> Heard | Failure:
        speech = entry.segment.speech
        if speech is None:
            raise RuntimeError("a segment without speech was sent to be decoded")
        asking = _Asking(lambda: speech, self._urgency(live, Priority.FINAL), is_provisional=False)
        try:
            hypothesis = await self._resilience.decode_segment(
                asking.request,
                urgency=asking.urgency,
                deadline_s=entry.closed_at_s + self._timeout_s,
            )
        except EngineError as error:
            failure = self._failure(error)
            _log.warning(
                "segment_failed",
                session_id=live.session.session_id,
                code=failure.error.kind.code,
                error=str(error),
            )
            return failure
        return asking.heard(hypothesis)

    def _failure(self, error: EngineError) -> Failure:
        """What a client is told of an engine's error, and when to try again."""
        retry_after_s = None
        if isinstance(error, EngineUnavailableError):
            kind = GPU_UNAVAILABLE if error.is_gpu else SERVICE_UNAVAILABLE
            retry_after_s = error.retry_after_s
        else:
            kind = _KINDS.get(type(error), TRANSCRIPTION_FAILED)
            if isinstance(error, GpuError):
                retry_after_s = self._resilience.reports().gpu.remaining_s or None
        what = _WHAT_HAPPENED[kind.code]
        return Failure(ProtocolError(kind, f"{what} {_GO_ON}", retry_after_s=retry_after_s))

    async def _draft(self, live: LiveSession, draft: Draft) -> None:
        def latest() -> Speech:
            live.session.answers.renew(draft)
            return draft.speech

        heard, left = await self._look(live, draft, latest)
        if not left:
            await self._perform(
                live, live.session.answers.resolve_draft(draft, heard, trio.current_time())
            )

    async def _speculate(self, live: LiveSession, speculation: Speculation) -> None:
        heard, left = await self._look(live, speculation, lambda: speculation.speech)
        if not left:
            now_s = trio.current_time()
            effects = live.session.answers.resolve_speculation(speculation, heard, now_s)
            await self._perform(live, effects)

    async def _judge(
        self, live: LiveSession, speculation: Speculation, judge_turn: JudgeTurn
    ) -> None:
        probability = None
        try:
            with trio.CancelScope() as self._judging[speculation]:
                if not live.session.answers.is_stale(speculation):
                    probability = await judge_turn(speculation.turn_samples)
        finally:
            del self._judging[speculation]
        if probability is not None:
            live.session.answers.judge_turn(speculation, probability)

    async def _look(
        self, live: LiveSession, request: Draft | Speculation, speech: Callable[[], Speech]
    ) -> tuple[Heard | None, bool]:
        """What a request heard that is no segment's own (None: it failed), and whether its wait was
        left because nobody wants the answer any more."""
        heard = None
        self._urgencies[request] = urgency = self._urgency(live, self._priority(request))
        try:
            with trio.CancelScope() as scope:
                self._scopes[request] = scope
                if live.session.answers.is_stale(request):
                    return None, True
                try:
                    with trio.move_on_after(self._timeout_s):
                        asking = _Asking(speech, urgency, is_provisional=isinstance(request, Draft))
                        heard = asking.heard(
                            await self._resilience.decode_look(asking.request, urgency=urgency)
                        )
                except EngineUnavailableError:
                    pass  # told by the segment that follows
                except EngineError as error:
                    _log.warning(
                        "look_failed", session_id=live.session.session_id, error=str(error)
                    )
            return heard, scope.cancelled_caught
        finally:
            del self._scopes[request], self._urgencies[request]
            self._answered.unpark_all()

    def _urgency(self, live: LiveSession, priority: Priority) -> Urgency:
        if self._is_recording:
            return Urgency(Priority.RECORDING, is_live=False)
        return Urgency(priority, is_live=live.session.intake.is_live(trio.current_time()))

    def _priority(self, request: Draft | Speculation) -> Priority:
        if self._is_recording:
            return Priority.RECORDING
        if isinstance(request, Speculation):
            return Priority.EAGER if request.adopted_by is None else Priority.FINAL
        return Priority.COMMIT if request.may_commit else Priority.PARTIAL


@define
class _Asking:
    """A request for what `speech` gives at the moment the engine takes it up."""

    speech: Callable[[], Speech]
    urgency: Urgency
    is_provisional: bool
    _asked: Speech | None = None

    def request(self) -> DecodeRequest:
        self._asked = self.speech()
        return _decode_request(self._asked, provisional=self.is_provisional)

    def heard(self, hypothesis: Hypothesis) -> Heard:
        """What was heard in the speech that was asked for last."""
        if self._asked is None:
            raise RuntimeError("an answer to a request that was never made")
        return _heard(hypothesis, self._asked)


def _decode_request(speech: Speech, *, provisional: bool) -> DecodeRequest:
    return DecodeRequest(
        samples=speech.samples,
        language=speech.language,
        vocabulary=speech.vocabulary,
        prefix_text=speech.context_text,
        prefix_s=speech.context_samples / SAMPLE_RATE_HZ,
        provisional=provisional,
    )


def _heard(hypothesis: Hypothesis, speech: Speech) -> Heard:
    """An engine's answer on the session's pipeline clock.

    Left out are what it made up on noise, and words that lie in the context: they had their outcome.
    """
    context_s = speech.context_samples / SAMPLE_RATE_HZ - _WORD_TIME_ERROR_S
    words = [
        HeardWord(
            text=word.text,
            start=speech.start + round(word.start_s * SAMPLE_RATE_HZ),
            end=speech.start + round(word.end_s * SAMPLE_RATE_HZ),
            confidence=word.confidence,
            mark_confidence=word.mark_confidence,
        )
        for word in speech_words(hypothesis)
        if word.end_s > context_s
    ]
    return Heard(
        words=spoken_words(words, speech.voiced),
        language=hypothesis.language,
        language_confidence=round(hypothesis.language_confidence, 3),
        compute_ms=hypothesis.compute_ms,
        model=hypothesis.model,
    )
