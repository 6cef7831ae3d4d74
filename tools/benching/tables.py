"""The report as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Figures = Mapping[str, Any]


def text_report(report: Figures) -> str:
    """All parts that were measured."""
    lines = [_machine_line(report)]
    for name, part_lines in (
        ("engine", engine_lines),
        ("closed", closed_lines),
        ("streams", stream_lines),
        ("partials", partial_lines),
        ("long", long_lines),
        ("overload", overload_lines),
        ("ingest", ingest_lines),
        ("idle", idle_lines),
    ):
        if name in report:
            lines += ["", *part_lines(report[name])]
    return "\n".join(lines)


def _machine_line(report: Figures) -> str:
    machine = report["machine"]
    gpu = machine["gpu"] or "no GPU"
    return (
        f"{report['model']} on {report['device']}: {machine['cores']} cores "
        f"({machine['processor']}), {gpu}"
    )


def engine_lines(part: Figures) -> Iterator[str]:
    yield "ENGINE  one utterance of about 2 s in one call, ms"
    ours = part["ways"][0]["ms"]["p50"]
    for way in part["ways"]:
        if "missing" in way:
            yield f"  {way['way']:28} left out: {way['missing']}"
            continue
        ms = way["ms"]
        yield (
            f"  {way['way']:28} p50 {ms['p50']:7.1f}  p95 {ms['p95']:7.1f}  WER "
            f"{100 * way['wer']:5.1f} %  {ms['p50'] / ours:5.1f} x"
        )
    costs = ", ".join(f"{row['batch']}: {row['ms_per_segment']}" for row in part["batches"])
    yield f"  a segment of 3 s in batches, ms: {costs}"


def closed_lines(part: Figures) -> Iterator[str]:
    yield "CLOSED TO TEXT  one client, ms from the endpoint to the text"
    for name, label in (("closed_alone", "asked at the endpoint"), ("usual", "asked in the pause")):
        yield f"  {label:24} {_percentiles(part[name]['closed_to_text_ms'])}"


def stream_lines(part: list[Figures]) -> Iterator[str]:
    for ramp in part:
        yield (
            f"STREAMS  duty {ramp['duty']:g}: {ramp['streams_within_promise']} within the promise"
        )
        for point in ramp["points"]:
            replicas = f" on {point['replicas']} replicas" if point["replicas"] > 1 else ""
            closed = _percentiles(point["closed_to_text_ms"])
            yield (
                f"  {point['streams']:4}{replicas}: closed to text {closed}  "
                f"lag p95 {point['lag_ms']['p95']}  fairness {point['fairness']}  cores "
                f"{point['server_cores']} + {point['clients_cores']} clients  "
                f"{point['server_mib']:.0f} MiB"
            )
            yield from _troubles(point)


def partial_lines(part: list[Figures]) -> Iterator[str]:
    for row in part:
        yield (
            f"PARTIALS  {row['streams']} streams, duty {row['duty']:g}, cores {row['server_cores']}"
        )
        yield f"  onset to first text  {_percentiles(row['first_text_ms'])}"
        yield f"  text to text         {_percentiles(row['refresh_ms'])}"
        yield from _troubles(row)


def long_lines(part: Figures) -> Iterator[str]:
    yield (
        f"LONG  WER {100 * part['wer']:.1f} %, offline {100 * part['offline_wer']:.1f} %; server "
        f"{part['warm_mib']:.0f} MiB when warm, {part['last_mib']:.0f} at the end"
    )
    for row in part["recordings"]:
        yield (
            f"  {row['id']} ({row['seconds']:.0f} s): WER {100 * row['wer']:.1f} %, offline "
            f"{100 * row['offline_wer']:.1f} %  lag {row['first_lag_ms']} ms at first, "
            f"{row['last_lag_ms']} at last"
        )
        if row["failure"] is not None:
            yield f"      ! {row['failure']}"


def overload_lines(part: Figures) -> Iterator[str]:
    yield (
        f"OVERLOAD  {part['asked']} asked, {part['let_in']} let in, promised "
        f"{part['promise_ms']:g} ms; cores {part['server_cores']}"
    )
    yield f"  closed to text  {_percentiles(part['closed_to_text_ms'])}"
    yield f"  lag p95 {part['lag_ms']['p95']}  fairness {part['fairness']}"
    yield from _troubles(part)


def idle_lines(part: Figures) -> Iterator[str]:
    yield (
        f"IDLE  {part['connections']} connections, {part['kib_per_connection']} KiB each, cores "
        f"{part['server_cores']}"
    )
    yield from _refusals(part)


def ingest_lines(part: list[Figures]) -> Iterator[str]:
    yield "INGEST  no model, the server on one core"
    for point in part:
        yield (
            f"  {point['streams']:4} at duty {point['duty']:g}: frame to onset "
            f"{_percentiles(point['frame_to_onset_ms'])}  cores {point['server_cores']} + "
            f"{point['clients_cores']} clients  {point['mib_per_stream']} MiB a stream"
        )
        yield from _troubles(point)


def _refusals(point: Figures) -> Iterator[str]:
    for refusal in sorted(set(point["refused"])):
        yield f"      ! {point['refused'].count(refusal)} x {refusal}"


def _troubles(point: Figures) -> Iterator[str]:
    yield from _refusals(point)
    if point["sender_lag_ms"] >= 100:
        yield f"      ! sending fell behind by up to {point['sender_lag_ms']:.0f} ms"


def _percentiles(figures: Figures) -> str:
    values = "  ".join(f"{name} {figures[name]}" for name in ("p50", "p95", "p99"))
    return f"{values}  (n {figures['count']})"
