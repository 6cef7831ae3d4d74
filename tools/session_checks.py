"""Does a session's trace keep the contract? Accounting, order and word times.

Pure: a trace in, one line for each fault out (an empty list is a pass). Times on the wire are in
milliseconds, rounded once, so comparisons allow for that rounding and nothing else.
"""

from __future__ import annotations

from itertools import pairwise

from tools.trace import SessionTrace

ROUNDING_MS = 1.0
"""Two figures rounded to whole milliseconds may differ by this much."""

OUTCOMES = ("transcribed_ms", "silence_ms", "discarded_ms", "unsettled_ms")


def accounting_faults(trace: SessionTrace) -> list[str]:
    """Every sample sent must be received, and every received one must have exactly one outcome."""
    ended = trace.first("session_ended")
    if ended is None:
        return ["accounting: no session_ended"]
    audio = ended.get("audio")
    if not isinstance(audio, dict) or any(name not in audio for name in ("received_ms", *OUTCOMES)):
        return [f"accounting: session_ended.audio is {audio!r}"]
    faults = []
    received_ms = audio["received_ms"]
    if abs(received_ms - trace.duration_ms) > ROUNDING_MS:
        faults.append(f"accounting: sent {trace.duration_ms:.0f} ms, received {received_ms} ms")
    settled_ms = sum(audio[name] for name in OUTCOMES)
    if abs(received_ms - settled_ms) > ROUNDING_MS:
        parts = " + ".join(f"{audio[name]} {name.removesuffix('_ms')}" for name in OUTCOMES)
        faults.append(f"accounting: received {received_ms} ms is not {parts}")
    if audio["unsettled_ms"]:
        faults.append(f"accounting: {audio['unsettled_ms']} ms left unsettled")
    return faults


def order_faults(trace: SessionTrace) -> list[str]:
    """`seq` counts 1, 2, 3 ..., `audio_committed_ms` never falls, segments never overlap."""
    faults = []
    stamps = [arrival.message.get("metadata") or {} for arrival in trace.arrivals]
    numbers = [stamp["seq"] for stamp in stamps if stamp.get("seq") is not None]
    if numbers != list(range(1, len(numbers) + 1)):
        faults.append(f"order: seq runs {_shortened(numbers)}")
    committed = [stamp.get("audio_committed_ms") for stamp in stamps]
    marks = [mark for mark in committed if mark is not None]
    if any(later < earlier for earlier, later in pairwise(marks)):
        faults.append(f"order: audio_committed_ms falls: {_shortened(marks)}")
    spans = [_span_ms(arrival.message["data"]) for arrival in trace.transcriptions]
    faults += [
        f"order: segment from {later[0]:g} ms begins before the last one's end, {earlier[1]:g} ms"
        for earlier, later in pairwise(spans)
        if later[0] < earlier[1] - ROUNDING_MS
    ]
    return faults


def word_faults(trace: SessionTrace) -> list[str]:
    """Every word of the text has times: start < end, in order, inside its segment.

    A session that asked for no timestamps has nothing to check.
    """
    started = trace.first("session_started")
    if started is None or not started["config"].get("enable_timestamps", True):
        return []
    faults = []
    for arrival in trace.transcriptions:
        data = arrival.message["data"]
        start_ms, end_ms = _span_ms(data)
        words = data.get("timestamps")
        if words is None:
            faults.append(f"words: no timestamps in the segment from {start_ms:g} ms")
            continue
        if _letters("".join(word["word"] for word in words)) != _letters(data["text"]):
            timed = " ".join(word["word"].strip() for word in words)
            faults.append(f"words: text {data['text']!r} but times for {timed!r}")
        previous_ms = start_ms
        for word in words:
            where = f"words: {word['word'].strip()!r} {word['start_ms']}-{word['end_ms']} ms"
            if word["start_ms"] >= word["end_ms"]:
                faults.append(f"{where} has no duration")
            if word["start_ms"] < start_ms - ROUNDING_MS or word["end_ms"] > end_ms + ROUNDING_MS:
                faults.append(f"{where} outside its segment {start_ms:g}-{end_ms:g} ms")
            elif word["start_ms"] < previous_ms:
                faults.append(f"{where} begins before the word before it ({previous_ms} ms)")
            if not 0 <= word["confidence"] <= 1:
                faults.append(f"{where} has confidence {word['confidence']}")
            previous_ms = word["start_ms"]
    return faults


def error_faults(trace: SessionTrace) -> list[str]:
    """The errors the server reported."""
    return [
        f"error {arrival.message['error']['code']}: {arrival.message['error']['message']}"
        for arrival in trace.of_type("error")
    ]


def _span_ms(data: dict[str, object]) -> tuple[float, float]:
    start_ms = float(data["metadata"]["audio_start_ms"])  # type: ignore[index]
    return start_ms, start_ms + float(data["audio_duration_ms"])  # type: ignore[arg-type]


def _letters(text: str) -> str:
    return "".join(text.split())


def _shortened(numbers: list[float], limit: int = 12) -> str:
    shown = ", ".join(f"{number:g}" for number in numbers[:limit])
    return shown + (" ..." if len(numbers) > limit else "")
