"""How fast the server is, and how many it serves: latencies, streams, memory, side by side in one run.

    python -m tools.bench --corpus DIRECTORY --json bench.json --png bench.png

Parts, for `--only`:

    engine   one utterance in one call: ours, levers off, faster-whisper and WhisperX as they come;
             and what a segment costs in batches
    closed   one client at a real server: from an endpoint to the text at the client, everything asked
             for at the endpoint, and as usual (asked for in the pause before it)
    streams  more and more clients in real time, until the 95th percentile of that breaks the promise
    partials how soon and how often 8 clients see words of what they are saying
    long     recordings of over 5 minutes: words, lag and memory from the first minute to the last
    overload more clients than can be served, one by one, at a server that promises a latency
    ingest   frames to onsets without a model, the server on one core, the clients on the others
    idle     what connections take that only stay

Everything is measured by the wall clock, so leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.benching.figure import draw
from tools.benching.machine import describe
from tools.benching.parts import PARTS, Options
from tools.benching.tables import text_report
from tools.hearing.running import EXPECTED_ERRORS, part_names, run_parts


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    if args.corpus is None:
        print("no corpus: set SPEECH_CORPUS, or give --corpus DIRECTORY", file=sys.stderr)
        return 2
    options = _options(args)
    report: dict[str, Any] = {"machine": describe(), "model": args.model, "device": args.device}
    try:
        run_parts(args.only, PARTS, options, report, args.json)
    except EXPECTED_ERRORS as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(text_report(report))
    if args.png is not None:
        draw(report, args.png)
    return 0


def _options(args: argparse.Namespace) -> Options:
    return Options(
        corpus=args.corpus,
        model=args.model,
        device=args.device,
        threads=args.threads,
        clips=args.clips,
        streams=tuple(args.streams),
        ingest_streams=tuple(args.ingest_streams),
        overload_streams=args.overload_streams,
        idle_connections=args.idle_connections,
        duties=tuple(args.duty),
        seconds=args.seconds,
        promise_ms=args.promise_ms,
        most_batch=args.most_batch,
        replicas=args.replicas,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--corpus", type=Path, default=os.environ.get("SPEECH_CORPUS") or None)
    add("--only", type=part_names(PARTS), default=list(PARTS), metavar="PART,...")
    add("--model", default="tiny.en", help="default tiny.en")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add("--threads", type=int, default=0, help="of one call in `engine` (default: as served)")
    add("--clips", type=int, default=40, help="of about 2 s (default 40)")
    add("--streams", type=_wholes, default=[1, 4, 8, 12, 16, 24, 32], metavar="N,...")
    add("--ingest-streams", type=_wholes, default=[50, 100], metavar="N,...")
    add("--overload-streams", type=_whole, default=30, metavar="N")
    add("--idle-connections", type=_whole, default=1000, metavar="N")
    add("--duty", type=_shares, default=[1.0, 0.4], metavar="SHARE,...", help="of speech, 0-1")
    add("--seconds", type=float, default=60.0, help="of each run (default 60)")
    add("--promise-ms", type=float, default=500.0, help="p95 of closed to text (default 500)")
    add("--most-batch", type=int, default=16, help="segments in a batch (64 for a GPU)")
    add("--replicas", type=int, default=1, help="servers that share the streams (default 1)")
    add("--json", type=Path, help="write all figures there")
    add("--png", type=Path, help="draw the curves there")
    return parser


def _whole(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number above 0")
    return number


def _wholes(text: str) -> list[int]:
    return [_whole(part) for part in text.split(",")]


def _shares(text: str) -> list[float]:
    shares = [float(part) for part in text.split(",")]
    if not all(0 < share <= 1 for share in shares):
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers above 0 and up to 1")
    return shares


if __name__ == "__main__":
    sys.exit(main())
