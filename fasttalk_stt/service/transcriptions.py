"""Whole recordings that clients send: how many at once, how large, and how they are transcribed.

They come after the conversations: their requests have what the streams leave of the model, a full server
refuses them, and a drain waits for those it has. It knows nothing of HTTP; `service.openai` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from attrs import frozen

from fasttalk_stt.access.principal import LOCAL_VISITOR, Visitor
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.protocol.errors import (
    RATE_LIMITED,
    SERVER_DRAINING,
    SERVER_FULL,
    ProtocolError,
)
from fasttalk_stt.settings import Settings
from fasttalk_stt.transcripts.recording import Sound
from fasttalk_stt.transcripts.transcript import Transcript
from fasttalk_stt.transcripts.transcription import (
    ConnectionLike,
    Watcher,
    Wishes,
    transcribe,
)

AT_WORK = 2
"""Of those that were admitted, so many are decoded at a time; the others wait for their turn. More would take
as long for all, and ask the model for more at once than it can leave off for a conversation."""


@frozen
class UploadLimits:
    """How large an upload may be, how long it may take, and how much audio it may hold."""

    max_bytes: int
    timeout_s: float
    longest_s: float


class Transcriptions:
    """Admits up to `max_at_once` recordings at a time.

    `connect` makes the connection that transcribes one. `languages` are those of the model. `has_compute`
    tells whether conversations leave the model time for more. `threads` are for whatever of a recording
    blocks.
    """

    def __init__(
        self,
        *,
        connect: Callable[[MemoryTransport], ConnectionLike],
        languages: Callable[[], frozenset[str]],
        limits: UploadLimits,
        max_at_once: int,
        default_language: str | None = None,
        has_compute: Callable[[], bool] = lambda: True,
    ) -> None:
        self.limits = limits
        self.default_language = default_language
        self._connect = connect
        self._languages = languages
        self._max_at_once = max_at_once
        self._has_compute = has_compute
        self._held: dict[trio.CancelScope, Visitor] = {}
        self._turns = trio.CapacityLimiter(AT_WORK)
        self.threads = trio.CapacityLimiter(AT_WORK)
        self._draining = False
        self._drained = trio.Event()

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        connect: Callable[[MemoryTransport], ConnectionLike],
        languages: Callable[[], frozenset[str]],
        has_compute: Callable[[], bool],
    ) -> Transcriptions | None:
        """As the settings say; None where they turn uploads off."""
        if not settings.max_transcriptions:
            return None
        return cls(
            connect=connect,
            languages=languages,
            limits=UploadLimits(
                max_bytes=settings.max_upload_bytes,
                timeout_s=settings.upload_timeout_s,
                longest_s=settings.max_recording_s,
            ),
            max_at_once=settings.max_transcriptions,
            default_language=settings.language,
            has_compute=has_compute,
        )

    @property
    def active(self) -> int:
        """How many are admitted now."""
        return len(self._held)

    @property
    def languages(self) -> frozenset[str]:
        return self._languages()

    @contextmanager
    def admit(self, visitor: Visitor = LOCAL_VISITOR) -> Iterator[trio.CancelScope]:
        """Hold a place for one recording, from before its upload to its last word.

        What is done with it belongs under the scope, which `stop` cancels. Raises ProtocolError
        (`server_draining`, `server_full`, or `rate_limited` where the visitor's key has as many as it may).
        """
        if self._draining:
            raise ProtocolError(
                SERVER_DRAINING,
                "This server is shutting down and takes no new recordings: send it again, which reaches "
                "another replica or this one's successor.",
            )
        if len(self._held) >= self._max_at_once:
            raise ProtocolError(
                SERVER_FULL,
                f"This server transcribes {self._max_at_once} recordings already: send it again later or to "
                "another replica.",
            )
        if not self._has_compute():
            raise ProtocolError(
                SERVER_FULL,
                "The conversations on this server leave its model no time for recordings: send it again "
                "later or to another replica.",
            )
        n_held = sum(each.principal == visitor.principal for each in self._held.values())
        if visitor.max_connections is not None and n_held >= visitor.max_connections:
            raise ProtocolError(
                RATE_LIMITED,
                f"This API key has its {visitor.max_connections} recordings here already: wait for one, or "
                "ask the operator for more.",
                retry_after_s=SERVER_FULL.retry_after_s,
            )
        scope = trio.CancelScope()
        self._held[scope] = visitor
        try:
            yield scope
        finally:
            self._release(scope)

    def _release(self, scope: trio.CancelScope) -> None:
        del self._held[scope]
        if self._draining and not self._held:
            self._drained.set()

    async def transcribe(self, sound: Sound, wishes: Wishes, watcher: Watcher) -> Transcript:
        """Transcribe all of a recording that was admitted, when its turn comes.

        Raises what `transcripts.transcription.transcribe` does.
        """
        async with self._turns:
            return await transcribe(
                sound,
                connect=self._connect,
                wishes=wishes,
                longest_s=self.limits.longest_s,
                limiter=self.threads,
                watcher=watcher,
                must_be_whole=True,
            )

    async def drain(self) -> None:
        """Refuse newcomers, and wait until none is left. The caller bounds the wait."""
        self._draining = True
        if not self._held:
            self._drained.set()
        await self._drained.wait()

    def stop(self) -> None:
        """Cancel those that are still there: their time is over."""
        for scope in self._held:
            scope.cancel()


def check_allowance(audio: Bucket | None) -> None:
    """Check what a key may still send, in seconds of audio; None: any amount.

    A recording is heard at full speed however long it is, which leaves a debt. Raises ProtocolError
    (`rate_limited`) while there is one.
    """
    debt_s = 0.0 if audio is None else audio.spend(0.0, trio.current_time())
    if debt_s:
        raise ProtocolError(
            RATE_LIMITED,
            f"This API key has sent more audio than it may: send more in {debt_s:.0f} s.",
            retry_after_s=debt_s,
        )
