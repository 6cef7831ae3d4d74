"""Long recordings in real time: whether the last minute is served like the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import psutil
import trio
from attrs import define, field

from fasttalk_stt.transcripts.audio_file import Clip
from tools.benching.streams import PACE, lags_ms
from tools.hearing.audio import RATE_HZ
from tools.hearing.mixtures import Source
from tools.hearing.servers import RunningServer
from tools.scoring import WordErrors, total_errors, word_errors
from tools.stt_client import CloseFailedError, open_client
from tools.trace import SessionTrace

LONG_S = 300.0
"""Recordings that are longer than this count as long."""
EDGE_S = 60.0
"""How much of the beginning and of the end is compared."""
MEMORY_EVERY_S = 5.0


@define
class _Memory:
    process: psutil.Process
    mib: list[float] = field(factory=list)

    async def watch(self) -> None:
        while True:
            self.mib.append(self.process.memory_info().rss / 2**20)
            await trio.sleep(MEMORY_EVERY_S)


def long_form(
    server: RunningServer,
    sources: Sequence[Source],
    *,
    config: Mapping[str, Any],
    offline: Callable[[Source], str],
) -> dict[str, Any]:
    """Speak all recordings at the same time; `offline` transcribes one as a whole, for comparison."""
    memory = _Memory(psutil.Process(server.pid))
    traces = trio.run(_speak_all, server.url, sources, config, memory)
    rows = []
    for source, trace in zip(sources, traces, strict=True):
        reference = source.entry.text or ""
        streamed, whole = (word_errors(reference, text) for text in (trace.text, offline(source)))
        rows.append(
            {
                "id": source.id,
                "seconds": round(len(source.samples) / RATE_HZ, 1),
                "wer": round(streamed.wer, 4),
                "offline_wer": round(whole.wer, 4),
                **_drift(trace),
                "failure": trace.failure,
                "errors": _counts(streamed),
                "offline_errors": _counts(whole),
            }
        )
    return {"recordings": rows, **_growth(memory.mib), **_totals(rows)}


def _totals(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Word error rates over all rows."""
    return {
        name: round(total_errors([WordErrors(*row[key]) for row in rows]).wer, 4)
        for name, key in (("wer", "errors"), ("offline_wer", "offline_errors"))
    }


async def _speak_all(
    url: str, sources: Sequence[Source], config: Mapping[str, Any], memory: _Memory
) -> list[SessionTrace]:
    traces: dict[str, SessionTrace] = {}

    async def speak(source: Source) -> None:
        clip = Clip(source.samples, RATE_HZ)
        try:
            async with open_client(url) as client:
                traces[source.id] = await client.run_session(clip, config, pace=PACE)
        except CloseFailedError:
            pass  # Its trace is there, and says how far it came.

    async with trio.open_nursery() as watch:
        watch.start_soon(memory.watch)
        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(speak, source)
        watch.cancel_scope.cancel()
    return [traces[source.id] for source in sources]


def _drift(trace: SessionTrace) -> dict[str, float | None]:
    """The median lag in the first minute and in the last."""
    lags = list(lags_ms(trace, 0.0))
    if not lags:
        return {"first_lag_ms": None, "last_lag_ms": None}
    n_edge = max(round(len(lags) * EDGE_S * 1000 / trace.duration_ms), 1)
    return {
        "first_lag_ms": round(float(np.median(lags[:n_edge])), 1),
        "last_lag_ms": round(float(np.median(lags[-n_edge:])), 1),
    }


def _growth(mib: Sequence[float]) -> dict[str, float]:
    """The server's memory after a minute, when all is warm, and at the end."""
    warm = min(round(EDGE_S / MEMORY_EVERY_S), len(mib) - 1)
    return {"warm_mib": round(mib[warm], 1), "last_mib": round(mib[-1], 1)}


def _counts(errors: WordErrors) -> tuple[int, int, int, int]:
    return (errors.substitutions, errors.deletions, errors.insertions, errors.reference_words)
