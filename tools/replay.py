"""Stream recordings to a server as real-time speech: `python -m tools.replay FILE...`.

Prints the words as they come, then a table of error rates, latencies and contract checks; the exit
code is 1 when any file failed. The client is `stt_client`, the judging `outcome`, the table
`report`; here are only the arguments and who plays what when.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import trio
from attrs import evolve, frozen

from fasttalk_stt.transcripts.audio_file import (
    HIGHEST_RATE_HZ,
    LONGEST_FRAME_MS,
    LOWEST_RATE_HZ,
    AudioFileError,
    Clip,
    at_a_session_rate,
    read_clip,
    resample,
    with_trailing_silence,
)
from tools.display import Display
from tools.outcome import Outcome, failed_outcome, outcome_of
from tools.playlist import Item, deal, items_from_files, items_from_manifest
from tools.report import as_json, table
from tools.stt_client import (
    CloseFailedError,
    ConnectFailedError,
    Pace,
    SttClient,
    open_client,
)

DEFAULT_URL = "ws://127.0.0.1:8000/ws/transcribe"

PACED_FRAME_MS = 32.0
"""512 samples at 16 kHz: what a browser client sends."""

UNPACED_FRAME_MS = 500.0
"""Without a pace, larger frames keep a replay below the server's limit on messages a second."""


@frozen
class Plan:
    """Everything one replay needs to know besides its files."""

    url: str
    headers: tuple[tuple[str, str], ...]
    config: Mapping[str, Any]
    pace: Pace
    trailing_silence_s: float
    stagger_s: float
    show_words: bool
    show_partials: bool
    quiet: bool


async def replay(items: Sequence[Item], plan: Plan, *, clients: int) -> list[Outcome]:
    """Play all items over that many connections; the outcomes are in the order of the items."""
    outcomes: dict[Item, Outcome] = {}

    async def run_client(number: int, hand: Sequence[Item]) -> None:
        await trio.sleep(number * plan.stagger_s)
        label = f"[{number + 1}] " if clients > 1 else ""
        await _play_hand(hand, plan, label, outcomes)

    async with trio.open_nursery() as nursery:
        for number, hand in enumerate(deal(items, clients)):
            nursery.start_soon(run_client, number, hand)
    return [outcomes[item] for item in items]


async def _play_hand(
    hand: Sequence[Item], plan: Plan, label: str, outcomes: dict[Item, Outcome]
) -> None:
    """One client: one connection for all its files, a new one only after a failure."""
    remaining = list(hand)
    display = Display(
        sys.stdout,
        show_partials=plan.show_partials,
        show_words=plan.show_words,
        label=label,
    )
    while remaining:
        outcome: Outcome | None = None
        try:
            async with open_client(plan.url, headers=plan.headers) as client:
                while remaining:
                    item = remaining.pop(0)
                    outcome = outcomes[item] = await _play(client, item, plan, display)
                    if not client.is_open or (outcome.trace and not outcome.trace.complete):
                        break
        except ConnectFailedError as error:
            # Whoever could not connect will not for the next file either: say it once.
            display.line(f"error: {error}")
            for item in remaining:
                outcomes[item] = failed_outcome(item.name, str(error))
            remaining.clear()
        except CloseFailedError as error:
            display.line(f"error: {error}")
            if outcome is not None:
                outcomes[item] = evolve(outcome, faults=(*outcome.faults, str(error)))


async def _play(client: SttClient, item: Item, plan: Plan, display: Display) -> Outcome:
    try:
        clip = await trio.to_thread.run_sync(_load, item.path, plan)
    except AudioFileError as error:
        display.line(f"error: {error}")
        return failed_outcome(item.name, str(error))
    if not plan.quiet:
        display.line(f"{item.name} ({clip.duration_ms / 1000:.2f} s)")
    trace = await client.run_session(
        clip,
        plan.config,
        pace=plan.pace,
        on_message=_ignore if plan.quiet else display.show,
    )
    if trace.failure is not None:
        display.line(f"error: {item.name}: {trace.failure}")
    return outcome_of(item.name, trace, reference=item.reference, is_speech=item.is_speech)


def _load(path: Path, plan: Plan) -> Clip:
    clip = read_clip(path)
    wanted_hz = plan.config.get("sample_rate")
    clip = at_a_session_rate(clip) if wanted_hz is None else resample(clip, int(wanted_hz))
    return with_trailing_silence(clip, plan.trailing_silence_s)


def _ignore(message: Mapping[str, Any]) -> None:
    """Say nothing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if bool(args.files) == bool(args.manifest):
        parser.error("give either files or --manifest DIR")
    try:
        items = (
            items_from_files(args.files)
            if args.files
            else items_from_manifest(args.manifest, args.filter)
        )
    except (OSError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    if not items:
        print(f"replay: nothing in {args.manifest} matches {args.filter!r}", file=sys.stderr)
        return 1
    # The same file may be named twice; each playing of it is an item of its own.
    items = [evolve(item, turn=turn) for turn, item in enumerate(items)]
    plan = _plan(args, parser)
    outcomes: list[Outcome] | None = None
    try:
        outcomes = trio.run(lambda: replay(items, plan, clients=args.clients))
    except* KeyboardInterrupt:
        pass  # Trio may wrap it in a group, where it arrived inside a nursery
    if outcomes is None:
        return 130
    print(table(outcomes))
    if args.json:
        args.json.write_text(json.dumps(as_json(outcomes), indent=1), encoding="utf-8")
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def _plan(args: argparse.Namespace, parser: argparse.ArgumentParser) -> Plan:
    config = dict(args.config)
    frame_ms = args.frame_ms
    if frame_ms is None:
        frame_ms = PACED_FRAME_MS if args.speed else UNPACED_FRAME_MS
    if config.get("encoding", "f32le") not in ("f32le", "s16le"):
        parser.error("--config encoding: expected f32le or s16le")
    rate_hz = config.get("sample_rate", LOWEST_RATE_HZ)
    if not isinstance(rate_hz, int) or not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        parser.error(f"--config sample_rate: expected {LOWEST_RATE_HZ}-{HIGHEST_RATE_HZ}")
    show_partials = sys.stdout.isatty() and args.clients == 1 and not args.quiet
    if show_partials:
        config.setdefault("interim_results", True)
    return Plan(
        url=args.url,
        headers=tuple(args.header),
        config=config,
        pace=Pace(speed=args.speed, frame_ms=frame_ms, idle_timeout_s=args.idle_timeout),
        trailing_silence_s=args.trailing_silence,
        stagger_s=args.stagger,
        show_words=args.words,
        show_partials=show_partials,
        quiet=args.quiet,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.replay",
        description="Stream recordings to a Fasttalk STT server as real-time speech and judge "
        "what comes back. Exit code 1 when any file failed or a check of the contract did.",
    )
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="FILE", help="WAV or FLAC, any rate and channels")
    add("--manifest", type=Path, metavar="DIR", help="play a corpus directory instead")
    add(
        "--filter",
        default="english",
        metavar="WHICH",
        help="of the manifest: english (what WER is measured on), all, or a glob over ids",
    )
    add("--url", default=DEFAULT_URL, help=f"default {DEFAULT_URL}")
    add(
        "--speed",
        type=_at_least_0,
        default=1.0,
        help="1 = real time (default), 0 = as fast as the server takes it",
    )
    add(
        "--frame-ms",
        type=_frame_ms,
        metavar="MS",
        help=f"default {PACED_FRAME_MS:g}, with --speed 0 {UNPACED_FRAME_MS:g}",
    )
    add("--clients", type=_at_least_1, default=1, metavar="N", help="connections at once")
    add("--stagger", type=_at_least_0, default=0.0, metavar="S", help="seconds between starts")
    add(
        "--config",
        type=_config_pair,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a field of session_config, the value as JSON or a plain string; repeatable",
    )
    add(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="an HTTP header of the upgrade, such as Authorization: Bearer ...; repeatable",
    )
    add("--trailing-silence", type=_at_least_0, default=0.0, metavar="S", help="after each file")
    add(
        "--idle-timeout",
        type=_above_0,
        default=30.0,
        metavar="S",
        help="give a session up when nothing happens for so long (default 30)",
    )
    add("--words", action="store_true", help="print each word with its times")
    add("--json", type=Path, metavar="FILE", help="write figures and all messages there")
    add("--quiet", action="store_true", help="print the table only")
    return parser


def _config_pair(argument: str) -> tuple[str, Any]:
    name, equals, value = argument.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{argument!r}: expected KEY=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _header(argument: str) -> tuple[str, str]:
    name, colon, value = argument.partition(":")
    if not name.strip() or not colon:
        raise argparse.ArgumentTypeError(f"{argument!r}: expected NAME:VALUE")
    return name.strip(), value.strip()


def _at_least_0(argument: str) -> float:
    return _number(argument, "a number of at least 0", lambda value: value >= 0)


def _above_0(argument: str) -> float:
    return _number(argument, "a number above 0", lambda value: value > 0)


def _frame_ms(argument: str) -> float:
    return _number(
        argument,
        f"1-{LONGEST_FRAME_MS} ms",
        lambda value: 1 <= value <= LONGEST_FRAME_MS,
    )


def _at_least_1(argument: str) -> int:
    wanted = "a whole number of at least 1"
    return int(_number(argument, wanted, lambda value: value >= 1 and value == int(value)))


def _number(argument: str, wanted: str, allowed: Callable[[float], bool]) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not allowed(value):
        raise argparse.ArgumentTypeError(f"{argument!r}: expected {wanted}")
    return value


if __name__ == "__main__":
    sys.exit(main())
