"""What the seam of a resumed session costs in words, in audio time.

Each recording is said twice: over a connection that holds, and over one that is lost at a random point and
resumed as the client library does it. The clock jumps and an answer of the model takes the same every time,
so nothing but the seam differs between the two.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import trio
import trio.testing
from attrs import frozen

from fasttalk_stt.client.events import Transcription, parse, read_event
from fasttalk_stt.client.replay_buffer import KEEP_MS
from fasttalk_stt.client.resume import Progress
from fasttalk_stt.composition import make_resilience
from fasttalk_stt.connection.connection import Connection
from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.scheduler import Scheduler
from tools.hearing.audio import RATE_HZ, Audio
from tools.hearing.listening import Setup, ears_of
from tools.hearing.mixtures import Source
from tools.scoring import total_errors, word_errors

EARLIEST_CUT_S = 0.5
LATEST_CUT_SHARE = 0.9
OUTAGE_S = 0.6
"""Until the connection is there again: the client library's first back-off and a handshake."""


@frozen
class Seam:
    """One recording: where it was cut, what was heard without and with that, and codes of errors."""

    source: Source
    cut_s: float
    unbroken: str
    broken: str
    errors: tuple[str, ...]


def seam_figures(
    sources: Sequence[Source], how: Setup, engine: Engine, *, seed: int
) -> dict[str, Any]:
    """Word errors of all recordings without and with a seam; JSON-able."""
    seams = trio.run(
        partial(_all_seams, sources, how, engine, seed),
        clock=trio.testing.MockClock(autojump_threshold=0),
    )
    said = [seam.source.entry.text or "" for seam in seams]
    unbroken = [word_errors(text, seam.unbroken) for text, seam in zip(said, seams, strict=True)]
    broken = [word_errors(text, seam.broken) for text, seam in zip(said, seams, strict=True)]
    return {
        "recordings": len(seams),
        "wer_unbroken": total_errors(unbroken).wer,
        "wer_broken": total_errors(broken).wer,
        "errors_unbroken": str(total_errors(unbroken)),
        "errors_broken": str(total_errors(broken)),
        "worse_when_broken": {
            seam.source.id: {
                "said": text,
                "cut_s": round(seam.cut_s, 2),
                "unbroken": seam.unbroken,
                "broken": seam.broken,
            }
            for text, seam, whole, cut in zip(said, seams, unbroken, broken, strict=True)
            if cut.errors > whole.errors
        },
        "unexpected_errors": dict(Counter(code for seam in seams for code in seam.errors)),
        "better_when_broken": sum(
            cut.errors < whole.errors for whole, cut in zip(unbroken, broken, strict=True)
        ),
    }


async def _all_seams(
    sources: Sequence[Source], how: Setup, engine: Engine, seed: int
) -> list[Seam]:
    rng = np.random.default_rng(seed)
    ears, settings = ears_of(how), how.settings()
    scheduler = Scheduler(engine, batch_size=settings.batch_size)
    resilience = make_resilience(settings, scheduler)

    def connect(transport: MemoryTransport) -> Connection:
        return Connection(transport, settings=settings, resilience=resilience, ears=ears)

    seams = []
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        for source in sources:
            samples = source.samples
            whole = ResumedTalk(how, samples)
            await whole.say(connect, until=None)
            latest_s = LATEST_CUT_SHARE * len(samples) / RATE_HZ
            cut_s = float(rng.uniform(min(EARLIEST_CUT_S, latest_s), latest_s))
            broken = ResumedTalk(how, samples)
            await broken.say(connect, until=round(cut_s * RATE_HZ))
            await trio.sleep(OUTAGE_S)
            await broken.say(connect, until=None)
            errors = (*whole.errors, *broken.errors)
            seams.append(Seam(source, cut_s, whole.text, broken.text, errors))
        nursery.cancel_scope.cancel()
    return seams


class ResumedTalk:
    """A recording that is said in real time over one connection after another."""

    def __init__(self, how: Setup, samples: Audio) -> None:
        self._config = dict(how.config)
        self._frame_samples = round(RATE_HZ * how.frame_ms / 1000)
        self._samples = samples
        self._progress = Progress()
        self._texts: list[str] = []
        self.errors: list[str] = []
        self._began_s = trio.current_time()

    @property
    def text(self) -> str:
        return " ".join(self._texts)

    async def say(
        self, connect: Callable[[MemoryTransport], Connection], *, until: int | None
    ) -> None:
        """Go on over a new connection: to the end, or until it is lost at that sample."""
        transport = MemoryTransport()
        start = self._begin()
        started = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect(transport).run)
            nursery.start_soon(self._listen, transport, started, nursery.cancel_scope)
            await transport.feed(
                json.dumps({"type": "start_session", "session_config": self._config})
            )
            await started.wait()
            size = self._frame_samples
            for at in range(start, len(self._samples) if until is None else until, size):
                frame = self._samples[at : at + size]
                await trio.sleep_until(self._began_s + (at + len(frame)) / RATE_HZ)
                await transport.feed(frame.astype("<f4").tobytes())
            if until is not None:
                nursery.cancel_scope.cancel()
            else:
                await transport.feed(json.dumps({"type": "end_session"}))

    def _begin(self) -> int:
        """The sample from which a connection is to hear."""
        if self._progress.session_id is None:
            return 0
        committed_ms = self._progress.committed_ms
        from_ms = max(committed_ms - KEEP_MS, 0)
        self._config["resume"] = self._progress.resume(
            committed_ms=committed_ms, audio_from_ms=from_ms
        )
        return from_ms * RATE_HZ // 1000

    async def _listen(
        self, transport: MemoryTransport, started: trio.Event, scope: trio.CancelScope
    ) -> None:
        while (raw := await transport.next_message()) is not None:
            document = parse(raw)
            event = read_event(document)
            is_new = self._progress.take(event)
            match document["type"]:
                case "session_started":
                    self._progress.session_id = event.metadata.session_id
                    started.set()
                case "session_ended":
                    scope.cancel()
                case "error" if not started.is_set():
                    raise RuntimeError(f"no session began: {document['error']['message']}")
                case "error":
                    self.errors.append(document["error"]["code"])
            if is_new and isinstance(event, Transcription) and event.data.text:
                self._texts.append(event.data.text)
