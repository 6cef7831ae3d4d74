"""The result of a replay as a table for people and as JSON for programs.

It adds up what `outcome` found, file by file, and knows nothing of how it came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from tools.outcome import Outcome
from tools.scoring import WordErrors, total_errors

NAME_COLUMNS = 34

_HEADINGS = (
    ("file", NAME_COLUMNS, "<"),
    ("seconds", 8, ">"),
    ("WER %", 7, ">"),
    ("latency p50", 12, ">"),
    ("p95", 7, ">"),
    ("server p50", 11, ">"),
    ("p95", 7, ">"),
    ("proc. p50", 10, ">"),
    ("RTF", 6, ">"),
    ("checks", 7, ">"),
)


@frozen
class Percentiles:
    """Median and 95th percentile of some milliseconds; None where there were none."""

    p50: float | None
    p95: float | None
    count: int


@frozen
class Totals:
    """All files together. Latencies are pooled over all segments, never means of files."""

    files: int
    failed: int
    audio_s: float
    errors: WordErrors | None
    latency_ms: Percentiles
    server_latency_ms: Percentiles
    processing_ms: Percentiles
    invented_words: int
    files_without_speech: int
    worst_lag_ms: float


def percentiles(values_ms: Iterable[float]) -> Percentiles:
    """p50 and p95, interpolated between neighbours."""
    values = list(values_ms)
    if not values:
        return Percentiles(p50=None, p95=None, count=0)
    p50, p95 = np.percentile(values, [50, 95])
    return Percentiles(p50=float(p50), p95=float(p95), count=len(values))


def totals(outcomes: Sequence[Outcome]) -> Totals:
    """Sum up a replay."""
    scored = [outcome.errors for outcome in outcomes if outcome.errors is not None]
    silent = [outcome for outcome in outcomes if not outcome.is_speech]
    return Totals(
        files=len(outcomes),
        failed=sum(bool(outcome.faults) for outcome in outcomes),
        audio_s=sum(outcome.duration_ms for outcome in outcomes) / 1000,
        errors=total_errors(scored) if scored else None,
        latency_ms=percentiles(ms for outcome in outcomes for ms in outcome.latencies_ms),
        server_latency_ms=percentiles(
            ms for outcome in outcomes for ms in outcome.server_latencies_ms
        ),
        processing_ms=percentiles(ms for outcome in outcomes for ms in outcome.processing_ms),
        invented_words=sum(outcome.invented_words for outcome in silent),
        files_without_speech=len(silent),
        worst_lag_ms=max((outcome.lag_ms for outcome in outcomes), default=0.0),
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """The table, its faults below it, and the totals; latencies in milliseconds."""
    lines = ["  ".join(f"{name:{align}{width}}" for name, width, align in _HEADINGS).rstrip()]
    lines += [_row(outcome) for outcome in outcomes]
    lines += [f"! {outcome.name}: {fault}" for outcome in outcomes for fault in outcome.faults]
    lines += _total_lines(totals(outcomes))
    return "\n".join(lines)


def as_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything the table shows, and each file's text and messages, for `json.dump`."""
    summed = totals(outcomes)
    return {
        "totals": {
            "files": summed.files,
            "failed": summed.failed,
            "audio_s": summed.audio_s,
            "wer": None if summed.errors is None else summed.errors.wer,
            "reference_words": summed.errors.reference_words if summed.errors else 0,
            "latency_ms": _percentiles_json(summed.latency_ms),
            "server_latency_ms": _percentiles_json(summed.server_latency_ms),
            "processing_ms": _percentiles_json(summed.processing_ms),
            "invented_words": summed.invented_words,
            "files_without_speech": summed.files_without_speech,
            "worst_lag_ms": summed.worst_lag_ms,
        },
        "files": [_file_json(outcome) for outcome in outcomes],
    }


def _row(outcome: Outcome) -> str:
    latency = percentiles(outcome.latencies_ms)
    server = percentiles(outcome.server_latencies_ms)
    cells = (
        outcome.name[-NAME_COLUMNS:],
        f"{outcome.duration_ms / 1000:.2f}",
        "-" if outcome.errors is None else f"{outcome.errors.wer * 100:.1f}",
        _ms(latency.p50),
        _ms(latency.p95),
        _ms(server.p50),
        _ms(server.p95),
        _ms(percentiles(outcome.processing_ms).p50),
        "-" if outcome.real_time_factor is None else f"{outcome.real_time_factor:.2f}",
        "FAILED" if outcome.faults else "ok",
    )
    return "  ".join(
        f"{cell:{align}{width}}" for cell, (_, width, align) in zip(cells, _HEADINGS, strict=True)
    )


def _total_lines(summed: Totals) -> list[str]:
    lines = [f"{summed.files} files, {summed.audio_s:.1f} s of audio, {summed.failed} failed"]
    if summed.errors is not None:
        errors = summed.errors
        lines.append(
            f"WER {errors.wer * 100:.2f} % of {errors.reference_words} words "
            f"({errors.substitutions} substituted, {errors.deletions} deleted, "
            f"{errors.insertions} inserted)"
        )
    for name, figures in (
        ("latency, last sample sent to text", summed.latency_ms),
        ("latency by the server's clock", summed.server_latency_ms),
        ("processing time", summed.processing_ms),
    ):
        if figures.count:
            lines.append(
                f"{name}: p50 {_ms(figures.p50)} ms, p95 {_ms(figures.p95)} ms "
                f"({figures.count} segments)"
            )
    if summed.files_without_speech:
        lines.append(
            f"{summed.invented_words} words heard in {summed.files_without_speech} files "
            "without speech"
        )
    if summed.worst_lag_ms >= 100:
        # A tenth of a second: from there on latencies tell of the sender as much as of the server.
        lines.append(f"sending fell behind its schedule by up to {summed.worst_lag_ms:.0f} ms")
    return lines


def _file_json(outcome: Outcome) -> dict[str, Any]:
    trace = outcome.trace
    messages: list[dict[str, Any]] = []
    if trace is not None:
        messages = [
            {"at_s": arrival.at_s - trace.began_at_s, "message": dict(arrival.message)}
            for arrival in trace.arrivals
        ]
    return {
        "name": outcome.name,
        "duration_ms": outcome.duration_ms,
        "wall_s": outcome.wall_s,
        "text": outcome.text,
        "is_speech": outcome.is_speech,
        "wer": None if outcome.errors is None else outcome.errors.wer,
        "latencies_ms": list(outcome.latencies_ms),
        "server_latencies_ms": list(outcome.server_latencies_ms),
        "processing_ms": list(outcome.processing_ms),
        "real_time_factor": outcome.real_time_factor,
        "lag_ms": outcome.lag_ms,
        "faults": list(outcome.faults),
        "messages": messages,
    }


def _percentiles_json(figures: Percentiles) -> dict[str, float | int | None]:
    return {"p50": figures.p50, "p95": figures.p95, "count": figures.count}


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
