"""The whole server with a scripted engine, for tests of everything but recognition.

    python -m tools.serve_fake [--port 8000] [--blocking-s 5 | --tones [--faults PLAN]]

Loud stretches become words, at no cost, or after a call that blocks the engine's worker thread for so
many seconds; or tones become words (`fasttalk_stt.inference.tones`), a call taking as long as one of
tiny.en, and failing as `fasttalk-stt serve --faults` does, with a smaller model to fall back to.
Everything else is what `fasttalk-stt serve` runs, but for the voice detector where VAD
is not set: the WebRTC one takes tones for voice, as tests need.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial

import attrs
import trio

from fasttalk_stt.inference.engine import DecodeRequest, Engine, Hypothesis
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.fallback import FallbackEngine
from fasttalk_stt.inference.faulty import Faults, FaultyEngine, read_faults
from fasttalk_stt.inference.tones import hear_tones
from fasttalk_stt.listening import ListenError
from fasttalk_stt.server import serve
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings

TONES_DECODE_S = 0.12


class BlockingEngine(FakeEngine):
    """A fake engine that, as a model does, computes in a thread which nothing can interrupt."""

    def __init__(self, blocking_s: float) -> None:
        super().__init__(n_recorded=0)
        self._blocking_s = blocking_s
        self._limiter = trio.CapacityLimiter(1)

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        await trio.to_thread.run_sync(
            time.sleep, self._blocking_s, limiter=self._limiter, abandon_on_cancel=True
        )
        return await super().decode(requests)


async def run(settings: Settings, engine: Engine) -> None:
    """Serve until a signal; the first line on stdout names the ports, as JSON."""
    async with trio.open_nursery() as nursery:
        ports = await nursery.start(partial(serve, settings, engine=engine))
        print(json.dumps(attrs.asdict(ports)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--monitoring-port", type=int, default=9091)
    parser.add_argument("--blocking-s", type=float, default=0.0)
    parser.add_argument("--tones", action="store_true")
    parser.add_argument("--faults", type=read_faults)
    args = parser.parse_args()
    settings = attrs.evolve(
        Settings.from_environment({"VAD": "webrtc", **os.environ}),
        websocket_host="127.0.0.1",
        websocket_port=args.port,
        monitoring_port=args.monitoring_port,
    )
    configure_logging(settings)
    try:
        trio.run(run, settings, _engine(args))
    except* ListenError as group:
        sys.exit(f"serve_fake: {group.exceptions[0]}")


def _engine(args: argparse.Namespace) -> Engine:
    if args.tones:
        engines = [
            FakeEngine(hear_tones, cost_s=lambda requests: TONES_DECODE_S, n_recorded=0)
            for _ in range(2)
        ]
        if args.faults is None:
            return engines[0]
        faults = Faults(args.faults)
        return FallbackEngine([FaultyEngine(engine, faults) for engine in engines])
    return BlockingEngine(args.blocking_s) if args.blocking_s else FakeEngine(n_recorded=0)


if __name__ == "__main__":
    main()
