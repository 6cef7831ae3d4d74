"""One file through a real connection in this process: audio in at one end, a transcript out.

The same receiver, listener, transcriber and sender as behind the socket, over `MemoryTransport`, so
what `transcribe` prints is what a client of the server would get. Knows no model and no output
format; `transcribe` gives it both ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import trio
from attrs import frozen

from fasttalk_stt.cli.audio_file import Clip, frames
from fasttalk_stt.cli.transcript import Segment, Transcript, segment_of
from fasttalk_stt.connection.memory import MemoryTransport, PeerClosedError

FRAME_MS = 500.0
"""Nobody listens live, so frames are large, for less overhead; the limit is one second."""

BUFFER_DURATION_S = 20.0
"""The longest a session allows: without a listener waiting, more context beats early text."""


class TranscriptionFailedError(Exception):
    """A file whose session broke off; the message is one line for the user."""


class ConnectionLike(Protocol):
    """What is needed of `connection.connection.Connection`."""

    async def run(self) -> None:
        """Serve the transport's peer until cancelled."""


@frozen
class Progress:
    """How much of a file has its text."""

    settled_ms: float
    duration_ms: float


async def transcribe_clip(
    file: str,
    clip: Clip,
    *,
    connect: Callable[[MemoryTransport], ConnectionLike],
    language: str | None,
    on_progress: Callable[[Progress], None],
) -> Transcript:
    """Run one session over the clip.

    `connect` makes the connection that serves a transport; `language` None detects. What the
    session reports as errors is the transcript's `problems`. Raises TranscriptionFailedError when
    the session is refused or the connection closes before its end.
    """
    transport = MemoryTransport()
    config = {
        "language": language,
        "enable_timestamps": True,
        "buffer_duration": BUFFER_DURATION_S,
        "sample_rate": clip.rate_hz,
    }
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect(transport).run)
        nursery.start_soon(_feed, transport, clip, config)
        collected = await _collect(transport, file, clip, on_progress)
        # As a server does when the peer is gone.
        nursery.cancel_scope.cancel()
    if isinstance(collected, str):
        raise TranscriptionFailedError(f"{file}: {collected}")
    return collected


async def _feed(transport: MemoryTransport, clip: Clip, config: Mapping[str, Any]) -> None:
    try:
        await transport.feed(json.dumps({"type": "start_session", "session_config": config}))
        for frame in frames(clip, frame_ms=FRAME_MS):
            await transport.feed(frame.payload)
        await transport.feed(json.dumps({"type": "end_session"}))
    except PeerClosedError:
        # The collector sees the same end, with the reason before it.
        return


async def _collect(
    transport: MemoryTransport,
    file: str,
    clip: Clip,
    on_progress: Callable[[Progress], None],
) -> Transcript | str:
    """The transcript, or the line that says why there is none."""
    segments: list[Segment] = []
    language: str | None = None
    model = ""
    problems: list[str] = []
    while (raw := await transport.next_message()) is not None:
        message = json.loads(raw)
        kind = message["type"]
        if kind == "session_started":
            model = message["model"]
        elif kind == "error":
            problems.append(str(message["error"]["message"]))
            if not model:
                break
        elif kind == "transcription" and message["data"]["text"]:
            segments.append(segment_of(message["data"]))
            language = language or message["data"]["metadata"]["language"]
        elif kind == "session_ended":
            return Transcript(
                file=file,
                duration_ms=round(clip.duration_ms),
                model=model,
                language=language,
                segments=tuple(segments),
                problems=tuple(problems),
            )
        settled_ms = message["metadata"]["audio_committed_ms"]
        if settled_ms is not None:
            on_progress(Progress(settled_ms=settled_ms, duration_ms=clip.duration_ms))
    frame = transport.close_frame
    if not problems and frame is not None:
        problems.append(f"the connection was closed with {frame.code} ({frame.reason})")
    # The last one is what ended it.
    return problems[-1]
