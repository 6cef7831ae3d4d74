"""Rehearses what goes wrong in production, and counts the words lost, words doubled and promises broken.

    python -m tools.rehearse --only cuts --cuts 1000 --json rehearsal.json

Parts, for `--only`:

    cuts      a network that resets, closes and swallows connections at random points
    replicas  two servers behind HAProxy: one is killed, then both are restarted one after another
    chaos     an engine that fails, a network that breaks and clients that vanish, all at once; words may be
              lost here, each with an error that says so
    overload  ten times the connections, messages and audio: how quickly it is refused, and what the
              others notice
    speech    recordings of a corpus to a real model, each over a connection that breaks once: words wrong
              beside two runs over connections that hold
    seams     the same in audio time, so that nothing but the break differs: what it costs in words
    speech_replicas
              `replicas` with a real model and recordings of a corpus: words wrong beside a quiet run
    soak      clients that come and go for hours: memory, descriptors, threads, tasks and latency over time
    speech_soak
              `soak` with a real model and recordings of a corpus

The servers are whole ones with a scripted engine that hears tones for words, so every word that was said is
known. Exits with 1 where a word was lost without a word about it or came twice, or a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

from fasttalk_stt.inference.models import resolve_model
from tools.hearing.engines import DecodeMemory, RememberingEngine
from tools.hearing.listening import setup
from tools.hearing.mixtures import Source, read_sources
from tools.hearing.running import EXPECTED_ERRORS, part_names, run_parts
from tools.hearing.servers import fake_server, real_server, temporary_log
from tools.rehearsing.chaos import FAULTS, live_through
from tools.rehearsing.cuts import talk_figures, talk_over_cuts
from tools.rehearsing.overload import MESSAGE_LIMIT, PLACES, overload
from tools.rehearsing.replicas import replicas_behind_proxy, settings_of
from tools.rehearsing.rolling import kill_and_roll, talk_meanwhile
from tools.rehearsing.seams import seam_figures
from tools.rehearsing.soak import soak_with_tones
from tools.rehearsing.speech import soak_with_speech, speech_figures, speech_meanwhile
from tools.scoring import english_speech, read_manifest

Note = Callable[[str], None]

RECORDINGS_S = (4.0, 20.0)
"""Long enough to be cut in."""
WORDS_PER_ERROR = 16
DECODE_S = 0.15
"""Of audio time: what tiny.en takes for a few seconds on one core."""
MOST_SPEAKERS = 4
"""At a time, to a model on a processor."""


@frozen(kw_only=True)
class Options:
    """What is to be rehearsed; see `tools.rehearse --help`."""

    cuts: int
    clients: int
    conversation_s: float
    minutes: float
    seed: int
    corpus: Path | None
    model: str
    recordings: int


def run_cuts(options: Options, note: Note) -> dict[str, Any]:
    """Connections that break."""
    note(f"{options.clients} clients, {options.cuts} cuts")
    with temporary_log() as log, fake_server(settings_of(), log, tones=True) as server:
        talks, breaks = trio.run(
            partial(
                talk_over_cuts,
                server.url,
                n_cuts=options.cuts,
                clients=options.clients,
                seconds=options.conversation_s,
                seed=options.seed,
            )
        )
    return {"cuts": dict(breaks), **talk_figures(talks)}


def run_replicas(options: Options, note: Note) -> dict[str, Any]:
    """Servers that break."""
    note(f"{options.clients} clients on 2 replicas behind HAProxy")
    with (
        tempfile.TemporaryDirectory(prefix="fasttalk-replicas-") as name,
        replicas_behind_proxy(
            Path(name), lambda log, port: fake_server(settings_of(), log, tones=True, port=port)
        ) as (replicas, url),
    ):
        talks = trio.run(
            partial(
                talk_meanwhile,
                url,
                partial(kill_and_roll, replicas, note),
                clients=options.clients,
                seconds=options.conversation_s,
                seed=options.seed,
            )
        )
    return talk_figures(talks)


def run_chaos(options: Options, note: Note) -> dict[str, Any]:
    """All of it at once."""
    note(f"{options.clients} clients for {options.minutes:g} minutes, {FAULTS}")
    with (
        temporary_log() as log,
        fake_server(
            settings_of(), log, tones=True, faults=f"{FAULTS};seed={options.seed}"
        ) as server,
    ):
        talks, breaks = trio.run(
            partial(
                live_through,
                server.url,
                clients=options.clients,
                seconds=60 * options.minutes,
                conversation_s=options.conversation_s,
                seed=options.seed,
            )
        )
    return {"cuts": dict(breaks), **talk_figures(talks)}


def run_overload(options: Options, note: Note) -> dict[str, Any]:
    """Too much of everything."""
    note(f"{PLACES} places, {MESSAGE_LIMIT} messages a second")
    settings = settings_of(
        WEBSOCKET_MAX_CONNECTIONS=str(PLACES), MESSAGE_RATE_LIMIT=str(MESSAGE_LIMIT)
    )
    with temporary_log() as log, fake_server(settings, log, tones=True) as server:
        return trio.run(partial(overload, server, seed=options.seed))


def read_speech(options: Options) -> list[Source]:
    """Recordings that are long enough to be broken in."""
    if options.corpus is None:
        raise ValueError("no corpus: set SPEECH_CORPUS, or give --corpus DIRECTORY")
    entries = english_speech(read_manifest(options.corpus))
    shortest_s, longest_s = RECORDINGS_S
    fitting = [entry for entry in entries if shortest_s <= entry.seconds <= longest_s]
    return read_sources(fitting[: options.recordings])


def run_speech_replicas(options: Options, note: Note) -> dict[str, Any]:
    """Servers with a real model that break."""
    sources = read_speech(options)
    clients = min(options.clients, MOST_SPEAKERS)
    note(f"{len(sources)} recordings, {options.model}, {clients} clients on 2 replicas")
    with (
        tempfile.TemporaryDirectory(prefix="fasttalk-replicas-") as name,
        replicas_behind_proxy(
            Path(name),
            lambda log, port: real_server(settings_of(MODEL=options.model), log, port=port),
        ) as (replicas, url),
    ):
        return trio.run(
            partial(
                speech_meanwhile,
                url,
                sources,
                partial(kill_and_roll, replicas, note),
                clients=clients,
                note=note,
            )
        )


def run_speech(options: Options, note: Note) -> dict[str, Any]:
    """Real speech."""
    sources = read_speech(options)
    note(f"{len(sources)} recordings, {options.model}")
    settings = settings_of(MODEL=options.model)
    with temporary_log() as log, real_server(settings, log) as server:
        return trio.run(
            partial(
                speech_figures,
                server.url,
                sources,
                clients=min(options.clients, MOST_SPEAKERS),
                seed=options.seed,
                note=note,
            )
        )


def run_seams(options: Options, note: Note) -> dict[str, Any]:
    """Real speech, in audio time."""
    sources = read_speech(options)
    note(f"{len(sources)} recordings, {options.model}")
    # A model that is not there is told here, in one line.
    name = resolve_model(options.model).name
    engine = RememberingEngine(name, DecodeMemory(None, name), latency_s=DECODE_S)
    return seam_figures(sources, setup(endpointer="adaptive"), engine, seed=options.seed)


def run_soak(options: Options, note: Note) -> dict[str, Any]:
    """A long time."""
    note(f"{options.clients} clients for {options.minutes:g} minutes")
    with temporary_log() as log, fake_server(settings_of(), log, tones=True) as server:
        return trio.run(
            partial(
                soak_with_tones,
                server,
                clients=options.clients,
                seconds=60 * options.minutes,
                conversation_s=options.conversation_s,
                seed=options.seed,
                note=note,
            )
        )


def run_speech_soak(options: Options, note: Note) -> dict[str, Any]:
    """A long time with a real model."""
    sources = read_speech(options)
    note(f"{options.clients} clients for {options.minutes:g} minutes, {options.model}")
    settings = settings_of(MODEL=options.model)
    with temporary_log() as log, real_server(settings, log) as server:
        return trio.run(
            partial(
                soak_with_speech,
                server,
                sources,
                clients=options.clients,
                seconds=60 * options.minutes,
                note=note,
            )
        )


PARTS: Mapping[str, Callable[[Options, Note], Any]] = {
    "cuts": run_cuts,
    "replicas": run_replicas,
    "chaos": run_chaos,
    "overload": run_overload,
    "speech": run_speech,
    "seams": run_seams,
    "speech_replicas": run_speech_replicas,
    "soak": run_soak,
    "speech_soak": run_speech_soak,
}


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    options = Options(
        cuts=args.cuts,
        clients=args.clients,
        conversation_s=args.conversation_s,
        minutes=args.minutes,
        seed=args.seed,
        corpus=args.corpus,
        model=args.model,
        recordings=args.recordings,
    )
    report: dict[str, Any] = {}
    try:
        run_parts(args.only, PARTS, options, report, args.json)
    except EXPECTED_ERRORS as error:
        print(f"rehearse: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for name, part in report.items():
        print(f"{name.upper()}")
        for label, value in part.items():
            print(f"  {label.replace('_', ' '):26} {value}")
    return 0 if all(is_kept(part) for part in report.values()) else 1


MOST_WER_MORE = 0.03
"""Over connections or servers that break; between two runs over ones that hold there may be half a point."""
MOST_GROWTH_PERCENT = 5.0
SURELY_GROWN_AFTER_S = 1800.0
"""In a soak of minutes the allocator's ups and downs are larger than a leak."""


def is_kept(part: Mapping[str, Any]) -> bool:
    """Whether something was said, no word of it was lost in silence or came twice, and no promise broken."""
    broken = (
        "conversations_that_differ_without_an_error",
        "words_too_many",
        "violations",
        "without_an_end",
        "discarded_ms",
        "unexpected_errors",
    )
    said = part.get("conversations", part.get("recordings", 0))
    return not any(part.get(name) for name in broken) and said > 0 and _within_bounds(part)


def _within_bounds(part: Mapping[str, Any]) -> bool:
    usual = part.get("wer_unbroken", 0.0)
    disturbed = part.get("wer_broken", part.get("wer_meanwhile", usual))
    grown = part.get("memory_growth_percent", 0.0)
    is_long = part.get("last", {}).get("at_s", 0.0) >= SURELY_GROWN_AFTER_S
    return (
        disturbed - usual <= MOST_WER_MORE
        and not (is_long and grown > MOST_GROWTH_PERCENT)
        and part.get("refused", 1) > 0
        # An error answers for one segment, of a dozen words at most.
        and part.get("words_lost", 0) <= WORDS_PER_ERROR * sum(part.get("errors", {}).values())
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.rehearse",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=part_names(PARTS), default=["cuts", "replicas"], metavar="PART,...")
    add("--cuts", type=int, default=1000, help="connections to be cut (default 1000)")
    add("--clients", type=int, default=20, help="at a time (default 20)")
    add("--conversation-s", type=float, default=12.0, help="length of one (default 12)")
    add("--minutes", type=float, default=60.0, help="of chaos and soaks (default 60)")
    add("--seed", type=int, default=1)
    add(
        "--corpus",
        type=Path,
        default=os.environ.get("SPEECH_CORPUS") or None,
        help="of the parts with recordings",
    )
    add("--model", default="tiny.en", help="of the parts with recordings (default tiny.en)")
    add("--recordings", type=int, default=100, help="of the parts with recordings (default 100)")
    add("--json", type=Path, help="write all figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
