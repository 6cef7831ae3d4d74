"""The whole server with a scripted engine, for tests of everything but recognition.

    python -m tools.serve_fake [--port 8000] [--monitoring-port 9091]

Loud stretches become words, at no cost. Everything else is what `fasttalk-stt serve` runs.
"""

from __future__ import annotations

import argparse
import json
import os
from functools import partial

import attrs
import trio

from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.server import serve
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings


async def run(settings: Settings) -> None:
    """Serve until a signal; the first line on stdout names the ports, as JSON."""
    async with trio.open_nursery() as nursery:
        ports = await nursery.start(partial(serve, settings, engine=FakeEngine()))
        print(json.dumps(attrs.asdict(ports)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--monitoring-port", type=int, default=9091)
    args = parser.parse_args()
    settings = attrs.evolve(
        Settings.from_environment(os.environ),
        websocket_host="127.0.0.1",
        websocket_port=args.port,
        monitoring_port=args.monitoring_port,
    )
    configure_logging(settings.log_format)
    trio.run(run, settings)


if __name__ == "__main__":
    main()
