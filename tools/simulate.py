"""Hundreds of streams on an engine that is only a table of costs: what the scheduler's policy makes of it.

    python -m tools.simulate --costs bench.json --streams 10,20,40,80
    python -m tools.simulate --cost-ms 60 --marginal-ms 6 --seats 1 --streams 100,200,400

A batch of n segments takes `cost + marginal x (n - 1)`, or what `tools.bench --only engine` measured
(`--costs`). Every stream says utterances of 1-6 s with pauses between them; each asks for a draft every
second while it goes on, and for its text at its end. Clocks are simulated; nothing is decoded.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field, frozen

from fasttalk_stt.inference.policy import Priority, Urgency, next_batch
from tools.benching.streams import jain
from tools.hearing.statistics import percentiles

CostMs = Callable[[int], float]
"""What a batch of so many segments takes, in milliseconds."""

UTTERANCE_S = (1.0, 6.0)
DRAFT_EVERY_S = 1.0
FIRST_DRAFT_S = 2.5
"""`buffer_duration` and half a second: from there on words are committed while somebody speaks."""


@define(eq=False)
class _Job:
    stream: int
    urgency: Urgency
    since_s: float
    duration_s: float


@frozen(order=True)
class _Event:
    at_s: float
    number: int
    job: _Job | None = field(default=None, order=False)
    seat_is_free: bool = field(default=False, order=False)


def simulate(
    cost_ms: CostMs,
    *,
    streams: int,
    duty: float,
    seats: int,
    batch_size: int,
    seconds: float,
    seed: int = 0,
) -> dict[str, Any]:
    """How long finals and drafts wait for their answers, in milliseconds, and how busy the seats are.

    `fairness` is Jain's index over the streams' mean waits for finals.
    """
    numbers = itertools.count()
    events = [
        _Event(job.since_s, next(numbers), job)
        for stream in range(streams)
        for job in _requests(stream, duty, seconds, np.random.default_rng([seed, stream]))
    ]
    heapq.heapify(events)
    waiting: list[_Job] = []
    free_seats, busy_s, batches, decoded = seats, 0.0, 0, 0
    finals: dict[int, list[float]] = {}
    drafts: list[float] = []
    while events:
        event = heapq.heappop(events)
        now_s = event.at_s
        if event.job is not None:
            waiting.append(event.job)
            if event.job.urgency.priority is Priority.FINAL:
                # An utterance that has ended wants no draft any more.
                waiting = [
                    job
                    for job in waiting
                    if job.stream != event.job.stream or job.urgency.priority is Priority.FINAL
                ]
        if event.seat_is_free:
            free_seats += 1
        while free_seats:
            batch = next_batch(
                waiting,
                now_s=now_s,
                seats=seats,
                free_seats=free_seats,
                batch_size=batch_size,
            )
            if not batch:
                break
            free_seats -= 1
            waiting = [job for job in waiting if job not in batch]
            took_s = cost_ms(len(batch)) / 1000
            busy_s += took_s
            batches += 1
            decoded += len(batch)
            heapq.heappush(events, _Event(now_s + took_s, next(numbers), None, True))
            for job in batch:
                wait_ms = 1000 * (now_s + took_s - job.since_s)
                if job.urgency.priority is Priority.FINAL:
                    finals.setdefault(job.stream, []).append(wait_ms)
                else:
                    drafts.append(wait_ms)
    means = [float(np.mean(waits)) for waits in finals.values()]
    return {
        "streams": streams,
        "final_ms": percentiles([ms for waits in finals.values() for ms in waits], 50, 95, 99),
        "draft_ms": percentiles(drafts, 50, 95, 99),
        "busy": round(busy_s / (seats * seconds), 3),
        "mean_batch": round(decoded / batches, 2) if batches else 0.0,
        "fairness": jain(means),
    }


def _requests(stream: int, duty: float, seconds: float, rng: np.random.Generator) -> list[_Job]:
    """What one stream asks for: drafts of each utterance while it goes on, and its text."""
    jobs = []
    at_s = float(rng.uniform(0.0, 5.0))
    while at_s < seconds:
        said_s = float(rng.uniform(*UTTERANCE_S))
        for draft_s in np.arange(FIRST_DRAFT_S, said_s, DRAFT_EVERY_S):
            jobs.append(
                _Job(stream, Urgency(Priority.COMMIT), at_s + float(draft_s), float(draft_s))
            )
        at_s += said_s
        jobs.append(_Job(stream, Urgency(Priority.FINAL), at_s, said_s))
        at_s += said_s * (1 / duty - 1)
    return jobs


def measured_cost(report: Path) -> CostMs:
    """The curve that `tools.bench --only engine` wrote, linear between its batch sizes and beyond."""
    rows = json.loads(report.read_text(encoding="utf-8"))["engine"]["batches"]
    sizes = [row["batch"] for row in rows]
    totals = [row["batch"] * row["ms_per_segment"] for row in rows]

    def cost(size: int) -> float:
        if size > sizes[-1]:
            return float(totals[-1] * size / sizes[-1])
        return float(np.interp(size, sizes, totals))

    return cost


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        cost = measured_cost(args.costs) if args.costs else _linear(args)
    except (OSError, ValueError, KeyError) as error:
        print(f"simulate: {args.costs}: {error}", file=sys.stderr)
        return 1
    rows = [
        simulate(
            cost,
            streams=streams,
            duty=args.duty,
            seats=args.seats,
            batch_size=args.batch_size,
            seconds=args.seconds,
        )
        for streams in args.streams
    ]
    for row in rows:
        final = row["final_ms"]
        print(
            f"{row['streams']:5} streams: final p50 {final['p50']:.0f}  p95 {final['p95']:.0f} ms, "
            f"draft p95 {row['draft_ms']['p95'] or 0:.0f} ms, busy {100 * row['busy']:.0f} %, "
            f"batch {row['mean_batch']}, fairness {row['fairness']}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def _linear(args: argparse.Namespace) -> CostMs:
    return lambda size: float(args.cost_ms + args.marginal_ms * (size - 1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--costs", type=Path, help="the JSON of tools.bench --only engine")
    add("--cost-ms", type=float, default=100.0, help="of one segment (default 100)")
    add("--marginal-ms", type=float, default=40.0, help="of each more in a batch (default 40)")
    add("--seats", type=int, default=1, help="batches at a time (default 1)")
    add("--batch-size", type=int, default=16, help="the most segments in one (default 16)")
    add("--duty", type=float, default=0.4, help="share of the time each speaks (default 0.4)")
    add("--seconds", type=float, default=300.0, help="simulated (default 300)")
    add("--streams", type=_wholes, default=[10, 20, 40, 80], metavar="N,...")
    add("--json", type=Path, help="write the figures there")
    return parser


def _wholes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
