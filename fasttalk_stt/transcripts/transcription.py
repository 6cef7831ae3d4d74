"""One recording through a real connection in this process: audio in at one end, a transcript out.

The same receiver, listener, transcriber and sender as behind the socket, over `MemoryTransport`, so
what comes out is what a client of the server would get. Knows no model and no output format; whoever
calls gives it both ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
import numpy as np
import numpy.typing as npt
import trio
from attrs import frozen

from fasttalk_stt.audio.timeline import PIPELINE_RATE_HZ
from fasttalk_stt.connection.ears import Ears
from fasttalk_stt.connection.memory import MemoryTransport, PeerClosedError
from fasttalk_stt.settings import Settings
from fasttalk_stt.transcripts.audio_file import AudioFileError, Clip, frames
from fasttalk_stt.transcripts.recording import Recording, Sound
from fasttalk_stt.transcripts.transcript import Segment, Transcript, segment_of

BLOCK_S = 10.0
"""Decoded ahead in a thread. Long against a hop into a thread, short in memory (640 kB)."""

FRAME_MS = 100.0
"""Nobody listens live, so a frame is larger than a microphone's, but hearing it must not hold up the
streams beside it: 500 ms take the voice detector some 5 ms."""

BUFFER_DURATION_S = 20.0
"""The longest a session allows: without a listener waiting, more context beats early text."""

ENDPOINT_SILENCE_MS = 1_000
"""Whisper hears better what it is given with more around it, and nobody waits for the end of a turn: of 626
words of read and spontaneous English tiny.en had 10.5 % wrong, and 12.9 % with a session's defaults."""

LONGEST_SESSION_S = 604_800.0
LONGEST_WAIT_S = 300.0
"""The settings' upper limits: nobody waits live for this text, so a slow machine may take long."""


class TranscriptionFailedError(Exception):
    """A recording whose session broke off; the message is one line for the user. `code` is the protocol's,
    where the session gave one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ConnectionLike(Protocol):
    """What is needed of `connection.connection.Connection`."""

    async def run(self) -> None:
        """Serve the transport's peer until cancelled."""


@frozen
class Progress:
    """How much of a recording has its text."""

    settled_ms: float
    duration_ms: float


class Watcher:
    """Somebody who is told how a transcription goes on; here nobody."""

    def opened(self) -> None:
        """The recording is one that can be read."""

    def hears(self, seconds: float) -> None:
        """So much more audio is about to be heard."""

    async def segment(self, segment: Segment) -> None:
        """The next segment is final. Holding it back holds the transcription back."""

    def progress(self, progress: Progress) -> None:
        """More of the recording has its text."""


@frozen
class Wishes:
    """How to hear a recording: `language` None detects it, `vocabulary` holds names and terms to favour."""

    language: str | None = None
    vocabulary: tuple[str, ...] = ()


def unhurried(settings: Settings) -> Settings:
    """The settings for a connection that transcribes a recording: without live limits, and without
    speculation, whose text would come early for nobody."""
    return attrs.evolve(
        settings,
        max_session_s=LONGEST_SESSION_S,
        transcription_timeout_s=LONGEST_WAIT_S,
        message_rate_limit=0,
        speculation=False,
        endpoint_silence_ms=ENDPOINT_SILENCE_MS,
    )


def patient(ears: Ears) -> Ears:
    """The ears for a recording: silence alone ends an utterance, since nobody waits for a turn."""
    return attrs.evolve(ears, endpointer="silence", judge_turn=None)


async def transcribe(
    sound: Sound,
    *,
    connect: Callable[[MemoryTransport], ConnectionLike],
    wishes: Wishes,
    longest_s: float,
    limiter: trio.CapacityLimiter,
    watcher: Watcher,
    must_be_whole: bool = False,
) -> Transcript:
    """Run one session over a recording, which is decoded in threads of `limiter`.

    `connect` makes the connection that serves a transport. What the session reports as errors is the
    transcript's `problems`, or, where it `must_be_whole`, ends it. Raises AudioFileError for a recording that
    cannot be read, also in its middle, RecordingTooLongError for one of more than `longest_s`, and
    TranscriptionFailedError when the session is refused or the connection closes before its end.
    """
    recording = await trio.to_thread.run_sync(
        lambda: Recording(sound, longest_s=longest_s), limiter=limiter
    )
    with recording:
        watcher.opened()
        return await _Session(recording, connect, wishes, limiter, watcher).run(must_be_whole)


class _Session:
    def __init__(
        self,
        recording: Recording,
        connect: Callable[[MemoryTransport], ConnectionLike],
        wishes: Wishes,
        limiter: trio.CapacityLimiter,
        watcher: Watcher,
    ) -> None:
        self._recording = recording
        self._transport = MemoryTransport()
        self._connection = connect(self._transport)
        self._wishes = wishes
        self._limiter = limiter
        self._watcher = watcher
        self._scope = trio.CancelScope()
        self._unreadable: AudioFileError | None = None

    async def run(self, must_be_whole: bool) -> Transcript:
        outcome: Transcript | TranscriptionFailedError | None = None
        # One block is ready while another is heard, so that reading never leaves the session waiting.
        send_blocks, blocks = trio.open_memory_channel[npt.NDArray[np.float32]](1)
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            nursery.start_soon(self._connection.run)
            nursery.start_soon(self._decode, send_blocks)
            nursery.start_soon(self._feed, blocks)
            outcome = await self._collect(must_be_whole)
            # As a server does when the peer is gone.
            nursery.cancel_scope.cancel()
        if self._unreadable is not None:
            raise self._unreadable
        if isinstance(outcome, Transcript):
            return outcome
        raise outcome or TranscriptionFailedError(f"{self._recording.name}: nothing came of it")

    async def _decode(self, blocks: trio.MemorySendChannel[npt.NDArray[np.float32]]) -> None:
        async with blocks:
            while True:
                try:
                    block = await trio.to_thread.run_sync(
                        self._recording.read, BLOCK_S, limiter=self._limiter
                    )
                except AudioFileError as error:
                    self._unreadable = error
                    self._scope.cancel()
                    return
                if not len(block):
                    return
                await blocks.send(block)

    async def _feed(self, blocks: trio.MemoryReceiveChannel[npt.NDArray[np.float32]]) -> None:
        config = {
            "language": self._wishes.language,
            "vocabulary": list(self._wishes.vocabulary),
            "enable_timestamps": True,
            "buffer_duration": BUFFER_DURATION_S,
            "sample_rate": PIPELINE_RATE_HZ,
        }
        try:
            async with blocks:
                await self._tell({"type": "start_session", "session_config": config})
                async for block in blocks:
                    clip = Clip(samples=block, rate_hz=PIPELINE_RATE_HZ)
                    self._watcher.hears(clip.duration_ms / 1000)
                    for frame in frames(clip, frame_ms=FRAME_MS):
                        await self._transport.feed(frame.payload)
                await self._tell({"type": "end_session"})
        except PeerClosedError:
            # The collector sees the same end, with the reason before it.
            return

    async def _tell(self, message: Mapping[str, Any]) -> None:
        await self._transport.feed(json.dumps(message))

    async def _collect(self, must_be_whole: bool) -> Transcript | TranscriptionFailedError:
        """The transcript, or why there is none."""
        name = self._recording.name
        segments: list[Segment] = []
        language: str | None = None
        model = ""
        problems: list[str] = []
        code: str | None = None
        while (raw := await self._transport.next_message()) is not None:
            message = json.loads(raw)
            kind = message["type"]
            if kind == "session_started":
                model = message["model"]
            elif kind == "error":
                problems.append(str(message["error"]["message"]))
                code = message["error"]["code"]
                if must_be_whole or not model:
                    break
            elif kind == "transcription" and message["data"]["text"]:
                segments.append(segment_of(message["data"]))
                language = language or message["data"]["metadata"]["language"]
                await self._watcher.segment(segments[-1])
            elif kind == "session_ended":
                return Transcript(
                    file=name,
                    duration_ms=round(self._recording.read_ms),
                    model=model,
                    language=language,
                    segments=tuple(segments),
                    problems=tuple(problems),
                )
            settled_ms = message["metadata"]["audio_committed_ms"]
            if settled_ms is not None:
                duration_ms = max(self._recording.claimed_ms, self._recording.read_ms)
                self._watcher.progress(Progress(settled_ms, duration_ms))
        frame = self._transport.close_frame
        if not problems and frame is not None:
            problems.append(f"the connection was closed with {frame.code} ({frame.reason})")
        # The last one is what ended it.
        return TranscriptionFailedError(f"{name}: {problems[-1]}", code)
