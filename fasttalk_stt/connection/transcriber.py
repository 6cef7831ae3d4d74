"""The transcriber: asks the engine for segments and drafts, one task each under its own scope.

It knows how to ask, how long to wait and whom to cancel. What an answer means is the session's
business, in which order answers leave the sender's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import structlog
import trio

from fasttalk_stt.connection.live import LiveSession, Work
from fasttalk_stt.conversation.effects import Effect
from fasttalk_stt.conversation.segments import Draft, Entry, Failure, Heard, HeardWord, Speech
from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError, GpuError, GpuMemoryExhaustedError
from fasttalk_stt.inference.quality import speech_words
from fasttalk_stt.inference.scheduler import Priority, Scheduler
from fasttalk_stt.protocol.errors import (
    GPU_ERROR,
    GPU_MEMORY_EXHAUSTION,
    TRANSCRIPTION_FAILED,
    TRANSCRIPTION_TIMEOUT,
    ErrorKind,
    ProtocolError,
)

_WORD_TIME_ERROR_S = 0.1
"""Word times from cross-attention are wrong by this much at times."""

_log = structlog.get_logger(__name__)

_CODES: dict[type[EngineError], ErrorKind] = {
    GpuMemoryExhaustedError: GPU_MEMORY_EXHAUSTION,
    GpuError: GPU_ERROR,
}

Perform = Callable[[LiveSession, Iterable[Effect]], Awaitable[None]]


class Transcriber:
    """Owns the receiving end of the work channel."""

    def __init__(
        self,
        work: trio.MemoryReceiveChannel[Work],
        scheduler: Scheduler,
        *,
        timeout_s: float,
        perform: Perform,
    ) -> None:
        """`timeout_s` is how long a closed segment may wait for its text."""
        self._work = work
        self._scheduler = scheduler
        self._timeout_s = timeout_s
        self._perform = perform
        self._scopes: dict[Entry | Draft, trio.CancelScope] = {}
        self._in_flight = 0
        self._answered = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        async with self._work, trio.open_nursery() as nursery:
            async for work in self._work:
                if isinstance(work.request, Draft):
                    nursery.start_soon(self._look, work.live, work.request)
                else:
                    self._in_flight += 1
                    nursery.start_soon(self._decode, work.live, work.request)

    @property
    def segments_in_flight(self) -> int:
        """Closed segments that have no answer yet."""
        return self._in_flight

    async def wait_answer(self) -> None:
        """Wait until the next request, segment or draft, is over."""
        await self._answered.park()

    def cancel(self, entries: Iterable[Entry]) -> None:
        """Leave the wait for these entries, whatever the engine is doing."""
        for entry in entries:
            if entry in self._scopes:
                self._scopes[entry].cancel()

    def cancel_stale_drafts(self, live: LiveSession) -> None:
        for request, scope in self._scopes.items():
            if isinstance(request, Draft) and live.session.is_stale(request):
                scope.cancel()

    async def _decode(self, live: LiveSession, entry: Entry) -> None:
        try:
            with trio.CancelScope() as scope:
                self._scopes[entry] = scope
                if entry.cancelled:
                    return
                entry.requested_at_s = trio.current_time()
                outcome = await self._final(live, entry)
                effects = live.session.resolve(entry, outcome, trio.current_time())
        finally:
            del self._scopes[entry]
            self._in_flight -= 1
            self._answered.unpark_all()
        if not scope.cancelled_caught:
            await self._perform(live, effects)

    async def _final(self, live: LiveSession, entry: Entry) -> Heard | Failure:
        speech = entry.segment.speech
        if speech is None:
            raise RuntimeError("a segment without speech was sent to be decoded")
        try:
            with trio.fail_at(entry.closed_at_s + self._timeout_s):
                return await self._ask(speech, Priority.FINAL)
        except trio.TooSlowError:
            return Failure(
                ProtocolError(
                    TRANSCRIPTION_TIMEOUT,
                    f"A segment waited longer than {self._timeout_s:g} s for its text and was "
                    "skipped. The session goes on; the server is overloaded.",
                )
            )
        except EngineError as error:
            kind = _CODES.get(type(error), TRANSCRIPTION_FAILED)
            _log.warning(
                "segment failed",
                session_id=live.session.session_id,
                code=kind.code,
                error=str(error),
            )
            return Failure(
                ProtocolError(
                    kind,
                    "The engine failed on a segment, which was skipped. The session goes on; "
                    "say it again.",
                )
            )

    async def _look(self, live: LiveSession, draft: Draft) -> None:
        try:
            with trio.CancelScope() as scope:
                self._scopes[draft] = scope
                if live.session.is_stale(draft):
                    return
                heard = await self._draft(live, draft)
            if not scope.cancelled_caught:
                effects = live.session.resolve_draft(draft, heard, trio.current_time())
                await self._perform(live, effects)
        finally:
            del self._scopes[draft]
            self._answered.unpark_all()

    async def _draft(self, live: LiveSession, draft: Draft) -> Heard | None:
        """What the draft heard, or None where that failed: a later one will look again."""
        try:
            with trio.move_on_after(self._timeout_s):
                return await self._ask(draft.speech, Priority.DRAFT)
        except EngineError as error:
            _log.warning("draft failed", session_id=live.session.session_id, error=str(error))
        return None

    async def _ask(self, speech: Speech, priority: Priority) -> Heard:
        request = DecodeRequest(
            samples=speech.samples,
            language=speech.language,
            vocabulary=speech.vocabulary,
            prefix_text=speech.context_text,
            prefix_s=speech.context_samples / SAMPLE_RATE_HZ,
        )
        return _heard(await self._scheduler.decode(request, priority=priority), speech)


def _heard(hypothesis: Hypothesis, speech: Speech) -> Heard:
    """An engine's answer on the session's pipeline clock.

    Left out are what it made up on noise, and words that lie in the context: they had their outcome.
    """
    context_s = speech.context_samples / SAMPLE_RATE_HZ - _WORD_TIME_ERROR_S
    return Heard(
        words=tuple(
            HeardWord(
                text=word.text,
                start=speech.start + round(word.start_s * SAMPLE_RATE_HZ),
                end=speech.start + round(word.end_s * SAMPLE_RATE_HZ),
                confidence=word.confidence,
            )
            for word in speech_words(hypothesis)
            if word.end_s > context_s
        ),
        language=hypothesis.language,
        language_confidence=round(hypothesis.language_confidence, 3),
        compute_ms=hypothesis.compute_ms,
    )
