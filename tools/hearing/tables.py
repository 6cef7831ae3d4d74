"""The report as compact text. It reads the same dictionaries that are written as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]


def text_report(report: Figures) -> str:
    """Everything that was measured, part by part."""
    lines: list[str] = []
    parts = {
        "onsets": onset_lines,
        "endpoints": endpoint_lines,
        "words": word_lines,
        "ttfs": ttfs_lines,
        "interrupt": interrupt_lines,
    }
    for name, part in parts.items():
        if name in report:
            lines += ["", *part(report[name])]
    return "\n".join(lines[1:])


def onset_lines(part: Figures) -> Iterator[str]:
    results: Sequence[Figures] = part["vads"]
    yield "ONSETS  delay after the first word, ms of audio; false onsets per hour of sound"
    yield _row("", [each["vad"] for each in results])
    yield _row("clean: delay p50 / p95", [_delay(each["clean"]) for each in results])
    yield _row("clean: missed", [_missed(each["clean"]) for each in results])
    for name in _keys(results, "snr"):
        at = [each["snr"][name]["without_voices"] for each in results]
        yield _row(f"SNR {_db(name)}: delay p50 / p95", [_delay(one) for one in at])
        yield _row(f"SNR {_db(name)}: missed (open before)", [_missed(one) for one in at])
    for label, pick in (("noise, all", "all"), ("noise, without voices", "without_voices")):
        yield _row(f"{label}: false/h", [_rate(each["noise"][pick]) for each in results])
    yield _row(
        "  of these rejected once",
        [_share((each["noise"]["all"] or {}).get("rejected_once_share")) for each in results],
    )
    for kind in _keys(results, "noise", "by_kind"):
        figures = [each["noise"]["by_kind"].get(kind) for each in results]
        if any(one is not None and one["false_onsets"] for one in figures):
            yield _row(f"  {kind}", [_rate(one) for one in figures])
    for state in results[0]["leak"] if results else ():
        clean = [each["leak"][state]["clean"] for each in results]
        yield _row(f"{state}, clean: delay", [_delay(one) for one in clean])
        yield _row(f"{state}, clean: missed", [_missed(one) for one in clean])
        for name in _keys(results, "leak", state):
            if name == "clean":
                continue
            at = [each["leak"][state][name] for each in results]
            alone = [f"{a['alone']['clips_with_onset']}/{a['alone']['takes']} clips" for a in at]
            yield _row(f"{state}, leak {_db(name)}: bot opens", alone)
            yield _row("    user over it: delay", [_delay(a["under_speech"]) for a in at])
            yield _row("    missed (open before)", [_missed(a["under_speech"]) for a in at])
    for vad, points in part.get("sweep", {}).items():
        yield f"operating points of {vad}: bias, delay p50 / p95, missed clean, "
        yield "                           missed at 5 dB, false/h (no voices)"
        for point in points:
            mark = "*" if point["is_default"] else " "
            yield (
                f" {mark}{point['bias']!s:>8}  {_delay(point):>13}  "
                f"{point['missed']:>3}  {point['missed_5_db']:>3}  "
                f"{point['false_onsets_per_hour']:8.1f}"
            )


def endpoint_lines(part: Figures) -> Iterator[str]:
    yield (
        f"ENDPOINTS  {len(part['recording_ids'])} recordings, {part['pauses']} pauses; "
        f"engine {part['engine_latency_ms']:.0f} ms"
    )
    yield f"  {'':10}{'silence ms':>11}{'delay p50':>11}{'p90':>7}{'cut pauses':>12}{'no end':>8}"
    for point in part["points"]:
        yield (
            f"  {point['endpointer']:10}{point['endpoint_silence_ms']:>11}"
            f"{_ms(point['delay_ms']['p50']):>11}{_ms(point['delay_ms']['p90']):>7}"
            f"{_share(point['cut_share']):>12}{len(point['without_end']):>8}"
        )
    for name, share in part["cut_share_at_budget"].items():
        line = f"  at a median delay of {part['budget_ms']:.0f} ms: {name} cuts {_share(share)}"
        estimate = part["reduction_against_silence"].get(name)
        if estimate is not None and estimate["value"] is not None:
            line += f", {_share(estimate['value'])} fewer than silence"
            if estimate["low"] is not None:
                line += f" (95 %: {_share(estimate['low'])} to {_share(estimate['high'])})"
        yield line


def word_lines(part: Figures) -> Iterator[str]:
    yield "WORDS  on what is no speech, and at the edges of what is"
    for title, noises in (("", part["noise"]), ("with variations, ", part["noise_and_variations"])):
        for noise in noises:
            yield from _noise_lines(noise, title)
    for speech in part["speech"]:
        ours, whole = speech["streamed"], speech["whole"]
        yield (
            f"  {speech['vad']}, {speech['clips']} clips: WER {100 * ours['wer']:.2f} % "
            f"(cut by hand {100 * whole['wer']:.2f} %), first word wrong "
            f"{ours['first_word_errors']} ({whole['first_word_errors']}), last word "
            f"{ours['last_word_errors']} ({whole['last_word_errors']})"
        )
        for name in ("first_word_lost", "last_word_lost", "without_text"):
            ids = speech[f"{name}_ids"]
            if ids:
                yield f"    {name.replace('_', ' ')}: {', '.join(ids)}"


def _noise_lines(noise: Figures, title: str) -> Iterator[str]:
    for name in ("without_voices", "voices"):
        figures = noise[name]
        if figures is not None:
            yield (
                f"  {noise['vad']}, {title}{name.replace('_', ' ')}: {figures['words']} words in "
                f"{figures['takes_with_words']} of {figures['takes']} takes, {figures['hours']} h, "
                f"{figures['words_per_hour']:.1f} per hour"
            )
    for phrase in noise["phrases"]:
        yield f"    {phrase['group']}: {phrase['id']}: {phrase['text']!r}"


def ttfs_lines(part: Figures) -> Iterator[str]:
    yield (
        f"TTFS  end of speech to final text, ms; endpoint silence {part['endpoint_silence_ms']} ms"
    )
    for name in ("idle", "busy"):
        figures = part[name]
        if figures is None:
            continue
        for label, key in (
            ("from speech_ended", "ttfs_ms"),
            ("from the labelled end", "after_labelled_end_ms"),
            ("over 8 s of speech", "ttfs_over_8_s_ms"),
            ("onset: frame to event", "onset_event_ms"),
        ):
            f = figures[key]
            if f["count"]:
                yield (
                    f"  {name}: {label:24} p50 {_ms(f['p50'])}  p95 {_ms(f['p95'])}  "
                    f"p99 {_ms(f['p99'])}  (n {f['count']})"
                )
        yield from (f"  {name}: ! {failure}" for failure in figures["failures"])
        if figures["sender_lag_ms"] >= 100:
            yield f"  {name}: sending fell behind by up to {figures['sender_lag_ms']:.0f} ms"


def interrupt_lines(part: Figures) -> Iterator[str]:
    f = part["acknowledged_ms"]
    yield (
        f"INTERRUPT  {part['interrupts']} while the engine blocks {part['engine_call_s']:g} s: "
        f"acknowledged after p50 {f['p50']} ms, p99 {f['p99']} ms, at most {part['slowest_ms']} ms"
    )


def _keys(results: Sequence[Figures], *path: str) -> list[str]:
    found: dict[str, None] = {}
    for each in results:
        inner = each
        for name in path:
            inner = inner[name]
        found |= dict.fromkeys(inner)
    return list(found)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"  {label:38}" + "".join(f"{cell:>22}" for cell in cells)


def _delay(figures: Figures) -> str:
    delay = figures["delay_ms"]
    return f"{_ms(delay['p50'])} / {_ms(delay['p95'])}"


def _missed(figures: Figures) -> str:
    early = f" ({figures['open_before']})" if figures["open_before"] else ""
    return f"{figures['missed']} of {figures['utterances']}{early}"


def _rate(figures: Figures | None) -> str:
    if figures is None:
        return "-"
    low, high = figures["false_onsets_per_hour_95"]
    return f"{figures['false_onsets_per_hour']:.1f} ({low:.1f}-{high:.1f})"


def _db(name: str) -> str:
    return name.replace("_db", " dB")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
