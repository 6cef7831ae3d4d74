"""The parts of an evaluation, and how they are shared out over processes.

Each part takes the options and a way to tell about progress, and returns its JSON-able figures.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import numpy as np
import trio
from attrs import frozen

from tools.hearing import endpoints, interrupts, onsets, ttfs, words
from tools.hearing.engines import DecodeMemory, RememberingEngine
from tools.hearing.mixtures import Source, has_checked_words, read_sources
from tools.hearing.servers import fake_server, real_server, temporary_log
from tools.hearing.tapes import Tapes
from tools.scoring import CorpusEntry, english_speech, read_manifest

SAMPLES = Path(__file__).parents[2] / "samples"
BOT_CLIPS_LEFT_OUT = ("conversation",)
"""It is made of the others."""
SHARES = 8
"""Into so many parts are recordings divided, of which each process takes the next when it is free."""
VARIED_VAD = "cascade"
"""The detector whose words on hours of varied noise are counted: WebRTC's alone would take a night."""
BUSY_UTTERANCES = 20
LONGEST_BUSY_S = 60.0

T = TypeVar("T")
Note = Callable[[str], None]


@frozen(kw_only=True)
class Options:
    """What is to be measured; see `tools.hear_eval --help`. `clips` None takes all."""

    corpus: Path
    vads: tuple[str, ...]
    endpointers: tuple[str, ...]
    silences_ms: tuple[int, ...]
    snrs_db: tuple[float, ...]
    leaks_db: tuple[float, ...]
    noise_hours: float
    clips: int | None
    model: str
    utterances: int
    interrupts: int
    sweep: bool
    jobs: int
    seed: int
    cache: Path | None

    def as_json(self) -> dict[str, Any]:
        return attrs.asdict(
            self,
            value_serializer=lambda _, __, value: str(value) if isinstance(value, Path) else value,
        )


def run_onsets(options: Options, note: Note) -> dict[str, Any]:
    jobs: list[Callable[[], Any]] = [partial(_onsets_of, options, vad) for vad in options.vads]
    if options.sweep:
        jobs += [partial(_sweep_of, options, vad) for vad in options.vads]
    done = _shared_out(jobs, options.jobs, note)
    n_vads = len(options.vads)
    part = {"measured_on": onsets.describe(_material(options)), "vads": done[:n_vads]}
    if options.sweep:
        part["sweep"] = dict(zip(options.vads, done[n_vads:], strict=True))
    return part


def _onsets_of(options: Options, vad: str) -> dict[str, Any]:
    return onsets.measure(_material(options), vad)


def _sweep_of(options: Options, vad: str) -> list[dict[str, Any]]:
    return onsets.sweep(_material(options), vad)


def _material(options: Options) -> onsets.Material:
    entries = read_manifest(options.corpus)
    bot = [e for e in read_manifest(SAMPLES) if e.id not in BOT_CLIPS_LEFT_OUT]
    return onsets.Material(
        labelled=_some(filter(has_checked_words, entries), options.clips),
        noise=_noise(entries),
        bot=read_sources(bot),
        noise_hours=options.noise_hours,
        snrs_db=options.snrs_db,
        leaks_db=options.leaks_db,
        seed=options.seed,
    )


def run_endpoints(options: Options, note: Note) -> dict[str, Any]:
    # Shared out by recordings: all settings hear much the same in one, so it is decoded once.
    jobs = [partial(_endpoints_of, options, share) for share in range(SHARES)]
    return endpoints.report(endpoints.merged(_shared_out(jobs, options.jobs, note)))


def _endpoints_of(options: Options, share: int) -> list[endpoints.Operation]:
    wanted = [e for e in read_manifest(options.corpus) if endpoints.is_passage(e)]
    sources = read_sources(_thinned(wanted, options.clips)[share::SHARES])
    recordings = endpoints.passages(sources, seed=options.seed)
    engine, tapes = _engine(options, endpoints.LATENCY_S), Tapes()
    return [
        operation
        for name in options.endpointers
        for operation in endpoints.operate(recordings, name, options.silences_ms, engine, tapes)
    ]


def run_words(options: Options, note: Note) -> dict[str, Any]:
    jobs = [partial(_words_of, options, share) for share in range(SHARES)]
    done = _shared_out(jobs, options.jobs, note)
    noise = {v: [row for part in done for row in part[v][0]] for v in options.vads}
    speech = {v: [row for part in done for row in part[v][1]] for v in options.vads}
    as_it_is = {v: [row for row in rows if not row.is_varied] for v, rows in noise.items()}
    return {
        "noise": [{"vad": v, **words.noise_report(as_it_is[v])} for v in options.vads],
        "noise_and_variations": [
            {"vad": v, **words.noise_report(noise[v])} for v in options.vads if v == VARIED_VAD
        ],
        "speech": [{"vad": v, **words.compare(speech[v])} for v in options.vads],
    }


def _words_of(
    options: Options, share: int
) -> dict[str, tuple[list[words.Written], list[words.Spoken]]]:
    entries = read_manifest(options.corpus)
    noise = _noise(entries)[share::SHARES]
    speech = read_sources(_thinned(english_speech(entries), options.clips)[share::SHARES])
    engine = _engine(options, 0.0)
    hours = options.noise_hours / SHARES
    return {
        vad: (
            words.write_noise(
                noise, vad, engine, hours=hours if vad == VARIED_VAD else 0.0, seed=options.seed
            ),
            words.write_speech(speech, vad, engine, seed=options.seed),
        )
        for vad in options.vads
    }


def run_ttfs(options: Options, note: Note) -> dict[str, Any]:
    speech = read_sources(english_speech(read_manifest(options.corpus)))
    chosen = ttfs.utterances(speech, options.utterances)
    longest = max((s for s in speech if s.entry.seconds <= LONGEST_BUSY_S), key=_length)
    busy_clip, _ = ttfs.join([ttfs.Utterance(longest.id, longest.samples)])
    with temporary_log() as log, real_server({"MODEL": options.model}, log) as server:
        url = server.url
        note(f"speaking {len(chosen)} utterances in real time")
        idle = trio.run(partial(ttfs.speak, url, chosen, keep_busy_with=None))
        few = chosen[:BUSY_UTTERANCES]
        note(f"speaking {len(few)} of them again beside another conversation")
        busy = trio.run(partial(ttfs.speak, url, few, keep_busy_with=busy_clip))
    return ttfs.report(idle, busy)


def run_interrupt(options: Options, note: Note) -> dict[str, Any]:
    speech = _some(english_speech(read_manifest(options.corpus)), 8)
    joined, _ = ttfs.join([ttfs.Utterance(s.id, s.samples) for s in speech])
    blocked = partial(fake_server, {}, blocking_s=interrupts.BLOCKING_S)
    with temporary_log() as log, blocked(log) as server:
        note(f"interrupting {options.interrupts} times")
        return trio.run(interrupts.interrupt_many, server.url, joined.samples, options.interrupts)


PARTS: Mapping[str, Callable[[Options, Note], dict[str, Any]]] = {
    "onsets": run_onsets,
    "endpoints": run_endpoints,
    "words": run_words,
    "ttfs": run_ttfs,
    "interrupt": run_interrupt,
}


def _shared_out(jobs: Sequence[Callable[[], T]], processes: int, note: Note) -> list[T]:
    """Run the jobs, several at a time, and return their results in order."""
    if processes <= 1:
        return [_noted(job(), number, jobs, note) for number, job in enumerate(jobs, start=1)]
    # Spawned, not forked: the model library's threads do not survive a fork.
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=spawned) as pool:
        running = [pool.submit(job) for job in jobs]
        return [
            _noted(future.result(), number, jobs, note)
            for number, future in enumerate(running, start=1)
        ]


def _noted(result: T, number: int, jobs: Sequence[Any], note: Note) -> T:
    note(f"{number} of {len(jobs)} done")
    return result


def _engine(options: Options, latency_s: float) -> RememberingEngine:
    memory = DecodeMemory(options.cache, options.model)
    return RememberingEngine(options.model, memory, latency_s=latency_s)


def _noise(entries: Sequence[CorpusEntry]) -> list[Source]:
    return read_sources(entry for entry in entries if entry.kind != "speech")


def _some(entries: Iterable[CorpusEntry], n_wanted: int | None) -> list[Source]:
    return read_sources(_thinned(list(entries), n_wanted))


def _thinned(items: Sequence[T], n_wanted: int | None) -> list[T]:
    """So many of them, evenly from all over the list, so that no speaker is preferred."""
    if n_wanted is None or len(items) <= n_wanted:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, n_wanted).astype(int)]


def _length(source: Source) -> int:
    return len(source.samples)
