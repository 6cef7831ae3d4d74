"""Many clients at once, each speaking in real time: what they hear back, and when.

The clock of every figure is the clients'. All of them live in one task tree of this process, so
its own processor time is reported beside the server's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import trio
from attrs import evolve, field, frozen

from fasttalk_stt.transcripts.audio_file import Clip
from tools.hearing.audio import RATE_HZ, Audio, room_tone, samples_of
from tools.hearing.mixtures import Source, rng_for
from tools.hearing.statistics import percentiles
from tools.stt_client import CloseFailedError, ConnectFailedError, Pace, open_client
from tools.trace import Arrival, SessionTrace

PACE = Pace(speed=1.0, frame_ms=32.0, idle_timeout_s=60.0)
SPREAD_S = 4.0
"""Clients begin within this time, so that they do not all fall silent together."""
LAG_EVERY_S = 0.5
OVER = frozenset({"speech_end", "max_silence", "session_end"})
"""Reasons of the last text of an utterance."""


@frozen
class Talk:
    """What the clients say: one long recording, of which each begins at another place.

    `duty` 0-1 is how much of it is speech recordings; the rest is quiet between them. Read speech has
    pauses of its own, so even at 1 somebody falls silent now and then.
    """

    samples: Audio = field(eq=False, repr=False)
    duty: float

    def part(self, number: int, of: int, seconds: float) -> Clip:
        """What client `number` of so many says. No copy is made."""
        length = samples_of(seconds)
        if length > len(self.samples):
            raise ValueError(f"only {len(self.samples) / RATE_HZ:.0f} s of speech to play")
        start = (len(self.samples) - length) * number // max(of - 1, 1)
        return Clip(self.samples[start : start + length], RATE_HZ)


def talk(sources: Sequence[Source], *, duty: float, seconds: float) -> Talk:
    """Recordings one after another, in an order that mixes speakers, for at least twice `seconds`."""
    pieces: list[Audio] = []
    n_samples = 0
    order = rng_for(0, "talk")
    while n_samples < 2 * samples_of(seconds):
        for index in order.permutation(len(sources)):
            speech = sources[index].samples
            quiet = round(len(speech) * (1 / duty - 1))
            pieces += [speech, room_tone(speech, quiet, rng_for(0, sources[index].id))]
            n_samples += len(speech) + quiet
    return Talk(np.concatenate(pieces).astype(np.float32), duty)


@frozen
class Spoken:
    """What one client saw: a session, or why there was none."""

    trace: SessionTrace | None
    refusal: str | None = None


async def speak_together(
    urls: Sequence[str],
    said: Talk,
    *,
    streams: int,
    seconds: float,
    config: Mapping[str, Any],
    spread_s: float = SPREAD_S,
) -> list[Spoken]:
    """Speak for so long on so many connections at once, shared out over the servers.

    They begin one after another, within `spread_s`.
    """
    spoken: list[Spoken | None] = [None] * streams

    async def speak(number: int) -> None:
        await trio.sleep(spread_s * number / streams)
        clip = said.part(number, streams, seconds)
        try:
            async with open_client(urls[number % len(urls)]) as client:
                trace = await client.run_session(clip, config, pace=PACE)
                spoken[number] = Spoken(trace, trace.failure)
        except (ConnectFailedError, CloseFailedError) as error:
            spoken[number] = spoken[number] or Spoken(None, str(error))

    async with trio.open_nursery() as nursery:
        for number in range(streams):
            nursery.start_soon(speak, number)
    return [each for each in spoken if each is not None]


def figures(spoken: Sequence[Spoken], *, endpoint_silence_ms: int, skip_s: float) -> dict[str, Any]:
    """JSON-able: latencies in milliseconds over all streams, pooled, without the first `skip_s`.

    `closed_to_text_ms` is from the moment the sample had left at which the endpoint was decided to
    the arrival of the final; `lag_ms` how much of an open utterance was sent and had no outcome;
    `fairness` is Jain's index over the streams' mean times from the end of speech to its text,
    `fairness_closed` that over their mean times from the endpoint.
    """
    traces = [each.trace for each in spoken if each.trace is not None]
    closed = [list(closed_to_text_ms(trace, endpoint_silence_ms, skip_s)) for trace in traces]
    lags = [lag for trace in traces for lag in lags_ms(trace, skip_s)]
    return {
        "closed_to_text_ms": percentiles([ms for each in closed for ms in each], 50, 95, 99),
        "lag_ms": percentiles(lags, 50, 95, 99),
        "fairness_closed": jain([float(np.mean(each)) for each in closed if each]),
        "fairness": jain([float(np.mean(each)) + endpoint_silence_ms for each in closed if each]),
        "sender_lag_ms": round(max((trace.lag_ms for trace in traces), default=0.0), 1),
        "refused": [each.refusal for each in spoken if each.refusal is not None],
        "errors": [
            str(arrival.message["error"]["message"])
            for trace in traces
            for arrival in trace.of_type("error")
        ],
    }


def closed_to_text_ms(
    trace: SessionTrace, endpoint_silence_ms: int, skip_s: float
) -> Iterator[float]:
    """Of each utterance that ended in silence: from its endpoint to its last text at the client.

    The server must run with ENDPOINTER=silence, so that it is known when the endpoint was.
    """
    finals = {
        arrival.message["data"]["utterance"]: arrival
        for arrival in trace.transcriptions
        if arrival.message["data"]["metadata"]["reason"] == "speech_end"
    }
    for ended in trace.of_type("speech_ended"):
        data = ended.message["data"]
        final = finals.get(data["utterance"])
        decided_ms = float(data["audio_end_ms"]) + endpoint_silence_ms
        if final is None or not final.message["data"]["text"] or decided_ms < skip_s * 1000:
            continue
        if decided_ms > trace.duration_ms:
            continue  # the end of the session ended it
        yield max((final.at_s - trace.sent_at_s(decided_ms)) * 1000, 0.0)


def partial_figures(spoken: Sequence[Spoken], *, skip_s: float) -> dict[str, Any]:
    """JSON-able: how soon behind an onset an utterance has its first text, and how long each of its
    texts stands until the next, in milliseconds."""
    traces = [each.trace for each in spoken if each.trace is not None]
    times = [text_times_ms(trace, skip_s) for trace in traces]
    return {
        "first_text_ms": percentiles([ms for first, _ in times for ms in first], 50, 95, 99),
        "refresh_ms": percentiles([ms for _, steps in times for ms in steps], 50, 95, 99),
        "sender_lag_ms": round(max((trace.lag_ms for trace in traces), default=0.0), 1),
        "refused": [each.refusal for each in spoken if each.refusal is not None],
    }


def text_times_ms(trace: SessionTrace, skip_s: float) -> tuple[list[float], list[float]]:
    """From the start of each utterance to its first text, partial or final; and from each of its texts
    to the next."""
    texts: dict[int, list[float]] = {}
    for arrival in trace.arrivals:
        if arrival.message["type"] in {"partial_transcription", "transcription"}:
            texts.setdefault(arrival.message["data"]["utterance"], []).append(arrival.at_s)
    first, steps = [], []
    for onset in trace.of_type("voice_activity_detected"):
        data = onset.message["data"]
        seen = texts.get(data["utterance"], [])
        if not seen or data["audio_start_ms"] < skip_s * 1000:
            continue
        first.append((seen[0] - trace.sent_at_s(data["audio_start_ms"])) * 1000)
        steps += [(later - earlier) * 1000 for earlier, later in pairwise(seen)]
    return first, steps


def lags_ms(trace: SessionTrace, skip_s: float) -> Iterator[float]:
    """How much was sent from the oldest utterance on that waits for text, and had no outcome; twice a
    second, while one waits.

    The silence between utterances has its outcome in time, but a client hears of it with the next
    message only.
    """
    if not trace.sent:
        return
    sent_at_s = [frame.at_s for frame in trace.sent]
    arrived_at_s = [arrival.at_s for arrival in trace.arrivals]
    known = list(accumulate(trace.arrivals, _known_after, initial=_Known()))
    for at_s in np.arange(sent_at_s[0] + skip_s, sent_at_s[-1], LAG_EVERY_S):
        now = known[bisect_right(arrived_at_s, at_s)]
        if not now.open_from_ms:
            continue
        frame = trace.sent[bisect_right(sent_at_s, at_s) - 1]
        outcome_ms = max(now.committed_ms, min(now.open_from_ms.values()))
        yield max(frame.end_sample * 1000 / trace.rate_hz - outcome_ms, 0.0)


@frozen
class _Known:
    """What a client knows: up to where there is an outcome, and where the utterances begin that have
    no last text yet, by their numbers."""

    committed_ms: float = 0.0
    open_from_ms: Mapping[int, float] = field(factory=dict)


def _known_after(known: _Known, arrival: Arrival) -> _Known:
    message = arrival.message
    committed_ms = message.get("metadata", {}).get("audio_committed_ms")
    if committed_ms is not None:
        known = evolve(known, committed_ms=float(committed_ms))
    data = message.get("data", {})
    if message["type"] == "voice_activity_detected":
        begun = {data["utterance"]: float(data["audio_start_ms"])}
        return evolve(known, open_from_ms={**known.open_from_ms, **begun})
    is_over = message["type"] == "voice_activity_rejected" or (
        message["type"] == "transcription" and data["metadata"]["reason"] in OVER
    )
    if not is_over:
        return known
    others = {n: at for n, at in known.open_from_ms.items() if n != data["utterance"]}
    return evolve(known, open_from_ms=others)


def jain(values: Sequence[float]) -> float | None:
    """Jain's index of fairness, 1 where all are equal, 1/n where one has it all (Jain, Chiu, Hawe:
    DEC-TR-301, 1984); None without values."""
    if not values or not any(values):
        return None if not values else 1.0
    return round(sum(values) ** 2 / (len(values) * sum(value**2 for value in values)), 4)
