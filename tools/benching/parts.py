"""The parts of a benchmark. Each takes the options and a way to tell of progress, and returns its
JSON-able figures; everything is by the wall clock, so leave the machine alone meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import trio
from attrs import frozen

from tools.benching import crowds, engines, long_form, streams
from tools.benching.machine import Usage, measured
from tools.hearing.mixtures import Source, read_sources
from tools.hearing.servers import RunningServer, fake_server, real_server, temporary_log
from tools.hearing.statistics import percentiles
from tools.hearing.ttfs import onset_times_ms
from tools.scoring import english_speech, read_manifest

Note = Callable[[str], None]

ENDPOINT_SILENCE_MS = 500
CLOSED_ALONE = {"SPECULATION": "false", "ENDPOINTER": "silence"}
"""Nothing is asked for before the endpoint, so that all of an answer's time is behind it."""
USUAL = {"ENDPOINTER": "silence"}
"""Everything else as it comes; with ENDPOINTER=silence it is known when an endpoint was."""
MANY = {
    "WEBSOCKET_MAX_CONNECTIONS": "10000",
    "CONNECTION_RATE_LIMIT": "0",
    "LOG_FORMAT": "json",
}
CONFIG: Mapping[str, Any] = {
    "fasttalk_mode": True,
    "language": "en",
    "endpoint_silence_ms": ENDPOINT_SILENCE_MS,
    "enable_timestamps": True,
}
SHORT_S = (1.5, 2.5)
"""Clips of about 2 s, what one turn of a conversation often is."""
PARTIAL_STREAMS = 8
OVERLOAD_SPREAD = 0.5
"""The share of a run in which the clients of `overload` come one by one."""
SKIP_S = 10.0
"""What the first seconds of a run say of a server that warms up is left out."""


@frozen(kw_only=True)
class Options:
    """What is to be measured; see `tools.bench --help`."""

    corpus: Path
    model: str
    device: str
    threads: int
    clips: int
    streams: tuple[int, ...]
    ingest_streams: tuple[int, ...]
    overload_streams: int
    idle_connections: int
    duties: tuple[float, ...]
    seconds: float
    promise_ms: float
    most_batch: int
    replicas: int


def run_engine(options: Options, note: Note) -> dict[str, Any]:
    """One utterance in one call: ours beside the libraries as they come."""
    short = _short(options)
    chosen = [(source.samples, source.entry.text or "") for source in short]
    note(f"{len(chosen)} clips of {SHORT_S[0]:g}-{SHORT_S[1]:g} s, each way")
    ways = engines.compare(chosen, options.model, device=options.device, threads=options.threads)
    note("batches")
    long = [source.samples for source in _speech(options)]
    batches = engines.batch_costs(
        long,
        options.model,
        device=options.device,
        threads=options.threads,
        most=options.most_batch,
    )
    return {"threads": options.threads, "ways": ways, "batches": batches}


def run_closed(options: Options, note: Note) -> dict[str, Any]:
    """One client saying short things: from the endpoint to the text."""
    said = streams.talk(_short(options), duty=0.6, seconds=options.seconds)
    rows = {}
    for name, settings in (("closed_alone", CLOSED_ALONE), ("usual", USUAL)):
        note(f"one client, {options.seconds:g} s, {name}")
        rows[name] = _point(options, said, settings, n_streams=1)
    return rows


def run_partials(options: Options, note: Note) -> list[dict[str, Any]]:
    """How soon and how often the words of open utterances are shown."""
    rows = []
    for duty in options.duties:
        said = streams.talk(_speech(options), duty=duty, seconds=options.seconds)
        note(f"{PARTIAL_STREAMS} streams with interim results, duty {duty:g}")
        with _server(options, USUAL) as server:
            config = {**CONFIG, "interim_results": True}
            spoken, usage = _speak([server], said, PARTIAL_STREAMS, options.seconds, config)
        rows.append(
            {
                "streams": PARTIAL_STREAMS,
                "duty": duty,
                **streams.partial_figures(spoken, skip_s=SKIP_S),
                "server_cores": usage.server_cores,
            }
        )
    return rows


def run_long(options: Options, note: Note) -> dict[str, Any]:
    """Long recordings: words, lag and memory from their first minute to their last."""
    entries = [
        entry
        for entry in read_manifest(options.corpus)
        if entry.kind == "speech"
        and entry.lang == "en"
        and entry.text
        and entry.seconds > long_form.LONG_S
    ]
    if not entries:
        raise ValueError(f"the corpus has no English speech of over {long_form.LONG_S:g} s")
    note(f"{len(entries)} recordings, {sum(entry.seconds for entry in entries):.0f} s")
    whole = engines.whole_transcriber(options.model, options.device)
    with _server(options, USUAL) as server:
        return long_form.long_form(server, read_sources(entries), config=CONFIG, offline=whole)


def run_streams(options: Options, note: Note) -> list[dict[str, Any]]:
    """More and more clients, until texts are late, audio waits or somebody is refused."""
    speech = _speech(options)
    ramps = []
    for duty in options.duties:
        said = streams.talk(speech, duty=duty, seconds=options.seconds)
        points = []
        for n_streams in options.streams:
            note(f"{n_streams} streams, duty {duty:g}")
            point = _point(options, said, USUAL, n_streams=n_streams)
            points.append(point)
            note(f"closed to text {point['closed_to_text_ms']}, lag {point['lag_ms']}")
            if not _is_kept(point, options.promise_ms):
                break
        kept = [p["streams"] for p in points if _is_kept(p, options.promise_ms)]
        ramps.append(
            {"duty": duty, "points": points, "streams_within_promise": max(kept, default=0)}
        )
    return ramps


def run_ingest(options: Options, note: Note) -> list[dict[str, Any]]:
    """Everything but the model: frames in, onsets out, on one core, the clients on another."""
    said = streams.talk(_speech(options), duty=0.4, seconds=options.seconds)
    points = []
    for n_streams in options.ingest_streams:
        note(f"{n_streams} streams, scripted engine")
        settings = {**MANY, "VAD": "cascade"}
        with temporary_log() as log, fake_server(settings, log) as server, _apart(server.pid):
            points.append(_ingest_point(server, said, n_streams, options.seconds))
        note(f"frame to onset {points[-1]['frame_to_onset_ms']}")
    return points


def run_overload(options: Options, note: Note) -> dict[str, Any]:
    """More clients than can be served, who come one by one, at a server that keeps a promise."""
    said = streams.talk(_speech(options), duty=1.0, seconds=options.seconds)
    note(f"{options.overload_streams} clients, promised {options.promise_ms:g} ms")
    settings = {**USUAL, "PROMISED_LATENCY_MS": f"{options.promise_ms:.0f}"}
    spread_s = options.seconds * OVERLOAD_SPREAD
    with _server(options, settings) as server:
        spoken, usage = _speak(
            [server], said, options.overload_streams, options.seconds, CONFIG, spread_s=spread_s
        )
    figures = crowds.overload_figures(
        spoken, endpoint_silence_ms=ENDPOINT_SILENCE_MS, skip_s=SKIP_S
    )
    return {"promise_ms": options.promise_ms, **figures, "server_cores": usage.server_cores}


def run_idle(options: Options, note: Note) -> dict[str, Any]:
    """Connections that only stay."""
    note(f"{options.idle_connections} connections")
    with temporary_log() as log, fake_server(MANY, log) as server:
        return crowds.idle_figures(server, options.idle_connections)


def _ingest_point(
    server: RunningServer, said: streams.Talk, n_streams: int, seconds: float
) -> dict[str, Any]:
    before_mib = psutil.Process(server.pid).memory_info().rss / 2**20
    spoken, usage = _speak([server], said, n_streams, seconds, CONFIG)
    onsets = [ms for each in spoken if each.trace for ms in onset_times_ms(each.trace)]
    return {
        "streams": n_streams,
        "duty": said.duty,
        "frame_ms": streams.PACE.frame_ms,
        "frame_to_onset_ms": percentiles(onsets, 50, 95, 99),
        "server_cores": usage.server_cores,
        "clients_cores": usage.clients_cores,
        "server_mib": usage.server_mib,
        "mib_per_stream": round((usage.server_mib - before_mib) / n_streams, 2),
        "sender_lag_ms": round(max((e.trace.lag_ms for e in spoken if e.trace), default=0.0), 1),
        "refused": [each.refusal for each in spoken if each.refusal is not None],
    }


def _speak(
    servers: Sequence[RunningServer],
    said: streams.Talk,
    n_streams: int,
    seconds: float,
    config: Mapping[str, Any],
    *,
    spread_s: float = streams.SPREAD_S,
) -> tuple[list[streams.Spoken], Usage]:
    speak = partial(
        streams.speak_together,
        [server.url for server in servers],
        said,
        streams=n_streams,
        seconds=seconds,
        config=config,
        spread_s=spread_s,
    )
    with measured([server.pid for server in servers]) as usage:
        spoken = trio.run(speak)
    return spoken, usage


def _point(
    options: Options, said: streams.Talk, settings: Mapping[str, str], *, n_streams: int
) -> dict[str, Any]:
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(options, settings)) for _ in range(options.replicas)]
        spoken, usage = _speak(servers, said, n_streams, options.seconds, CONFIG)
        return {
            "streams": n_streams,
            "replicas": options.replicas,
            "duty": said.duty,
            "seconds": options.seconds,
            **streams.figures(spoken, endpoint_silence_ms=ENDPOINT_SILENCE_MS, skip_s=SKIP_S),
            "server_cores": usage.server_cores,
            "clients_cores": usage.clients_cores,
            "server_mib": usage.server_mib,
        }


@contextmanager
def _server(options: Options, settings: Mapping[str, str]) -> Iterator[RunningServer]:
    environment = {**MANY, "MODEL": options.model, "DEVICE": options.device, **settings}
    with temporary_log() as log, real_server(environment, log) as server:
        yield server


def _is_kept(point: Mapping[str, Any], promise_ms: float) -> bool:
    late = point["closed_to_text_ms"]["p95"]
    return late is not None and late <= promise_ms and not point["refused"]


@contextmanager
def _apart(server_pid: int) -> Iterator[None]:
    """The server on one core and this process on the others, where there is more than one."""
    ours = psutil.Process()
    cores = ours.cpu_affinity()
    if len(cores) < 2:
        yield
        return
    psutil.Process(server_pid).cpu_affinity(cores[:1])
    ours.cpu_affinity(cores[1:])
    try:
        yield
    finally:
        ours.cpu_affinity(cores)


def _speech(options: Options) -> list[Source]:
    return read_sources(english_speech(read_manifest(options.corpus)))


def _short(options: Options) -> Sequence[Source]:
    low, high = SHORT_S
    short = [source for source in _speech(options) if low <= source.entry.seconds <= high]
    if not short:
        raise ValueError(f"the corpus has no English clip of {low:g}-{high:g} s")
    return short[: options.clips]


PARTS: Mapping[str, Callable[[Options, Note], Any]] = {
    "engine": run_engine,
    "closed": run_closed,
    "streams": run_streams,
    "partials": run_partials,
    "long": run_long,
    "overload": run_overload,
    "ingest": run_ingest,
    "idle": run_idle,
}
