"""Time to final text: from the end of speech to its words, at a real server in real time.

One client speaks utterance after utterance, each followed by quiet. The clock of every figure is
the client's: when a sample was sent, and when a message came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import trio
from attrs import evolve, field, frozen

from fasttalk_stt.transcripts.audio_file import Clip
from tools.hearing.audio import RATE_HZ, Audio, ms_of, room_tone, samples_of, with_gain
from tools.hearing.mixtures import Source, has_checked_words, labelled_ms, rng_for
from tools.hearing.statistics import percentiles
from tools.stt_client import Pace, open_client
from tools.trace import Message, SessionTrace

LONGEST_S = 8.0
QUIET_S = 1.5
SESSION_UTTERANCES = 20
"""So many utterances are joined into one session."""
REPEAT_GAINS_DB = (-6.0, -12.0, 3.0)
"""Where more utterances are asked for than there are clips, clips with hand-checked word times are
played again, at another level so that nothing can be the same."""
CONFIG: Mapping[str, Any] = {
    "fasttalk_mode": True,
    "language": "en",
    "endpoint_silence_ms": 200,
}
PACE = Pace(speed=1.0, frame_ms=20.0)


@frozen
class Utterance:
    """One clip as it is spoken; `last_word_ms` is its labelled end, None without a label."""

    id: str
    samples: Audio = field(eq=False, repr=False)
    last_word_ms: float | None = None


@frozen
class Placed:
    """Where an utterance lies in its session: its clip and the quiet behind it."""

    id: str
    start_ms: float
    end_ms: float
    last_word_ms: float | None


@frozen
class Sample:
    """One utterance's figures in milliseconds of the client's clock; None where not known.

    `speech_s` is how long the server heard speech in it. `after_label_ms` counts from the labelled
    end of the last word instead of the server's own.
    """

    id: str
    speech_s: float
    ttfs_ms: float
    after_label_ms: float | None


def utterances(sources: Sequence[Source], n_wanted: int) -> list[Utterance]:
    """So many English clips of up to 8 s, in an order that mixes speakers."""
    short = [s for s in sources if s.entry.seconds <= LONGEST_S and s.entry.text]
    if not short:
        raise ValueError(
            f"no utterance to speak: the corpus needs English clips up to {LONGEST_S:g} s"
        )
    chosen = [_utterance(source) for source in _spread(short)]
    labelled = [s for s in _spread(short) if has_checked_words(s.entry)]
    for gain_db in REPEAT_GAINS_DB:
        if len(chosen) >= n_wanted:
            break
        chosen += [_at_gain(_utterance(source), gain_db) for source in labelled]
    return chosen[:n_wanted]


def _spread(sources: Sequence[Source]) -> list[Source]:
    """In an order that does not go speaker by speaker, always the same."""
    order = rng_for(0, "utterances").permutation(len(sources))
    return [sources[i] for i in order]


def _utterance(source: Source) -> Utterance:
    label = labelled_ms(source.entry) if has_checked_words(source.entry) else None
    return Utterance(source.id, source.samples, None if label is None else label[1])


def _at_gain(utterance: Utterance, gain_db: float) -> Utterance:
    samples = with_gain(utterance.samples, gain_db)
    return evolve(utterance, id=f"{utterance.id}@{gain_db:g}dB", samples=samples)


def sessions(chosen: Sequence[Utterance]) -> Iterator[tuple[Clip, list[Placed]]]:
    """Join utterances, each with 1.5 s of its own room tone behind it."""
    for first in range(0, len(chosen), SESSION_UTTERANCES):
        yield join(chosen[first : first + SESSION_UTTERANCES])


def join(chosen: Sequence[Utterance]) -> tuple[Clip, list[Placed]]:
    pieces: list[Audio] = []
    placed = []
    at = 0
    for utterance in chosen:
        quiet = room_tone(utterance.samples, samples_of(QUIET_S), rng_for(0, utterance.id))
        start = at
        at += len(utterance.samples) + len(quiet)
        pieces += [utterance.samples, quiet]
        label = utterance.last_word_ms
        placed.append(
            Placed(
                id=utterance.id,
                start_ms=ms_of(start),
                end_ms=ms_of(at),
                last_word_ms=None if label is None else ms_of(start) + label,
            )
        )
    return Clip(np.concatenate(pieces).astype(np.float32), RATE_HZ), placed


def samples_in(trace: SessionTrace, placed: Sequence[Placed]) -> list[Sample]:
    """A figure for every utterance the server ended and wrote, in order."""
    last_final = {
        arrival.message["data"]["utterance"]: arrival
        for arrival in trace.transcriptions
        if arrival.message["data"]["text"]
    }
    found = []
    for ended in trace.of_type("speech_ended"):
        data = ended.message["data"]
        final = last_final.get(data["utterance"])
        end_ms = float(data["audio_end_ms"])
        place = next((p for p in placed if p.start_ms <= end_ms < p.end_ms), None)
        if final is None or place is None:
            continue
        is_last = not any(
            end_ms < other.message["data"]["audio_end_ms"] < place.end_ms
            for other in trace.of_type("speech_ended")
        )
        label = place.last_word_ms if is_last else None
        found.append(
            Sample(
                id=place.id,
                speech_s=(end_ms - data["audio_start_ms"]) / 1000,
                ttfs_ms=(final.at_s - trace.sent_at_s(end_ms)) * 1000,
                after_label_ms=None
                if label is None
                else (final.at_s - trace.sent_at_s(label)) * 1000,
            )
        )
    return found


def onset_times_ms(trace: SessionTrace) -> list[float]:
    """From the frame that decided an onset having been sent to the arrival of its event."""
    times = []
    for arrival in trace.of_type("voice_activity_detected"):
        data = arrival.message["data"]
        decided_ms = data["audio_start_ms"] + data["duration_ms"]
        times.append((arrival.at_s - trace.sent_at_s(decided_ms)) * 1000)
    return times


@frozen
class Spoken:
    """What a run of sessions gave."""

    samples: tuple[Sample, ...]
    onset_ms: tuple[float, ...]
    failures: tuple[str, ...]
    lag_ms: float


async def speak(url: str, chosen: Sequence[Utterance], *, keep_busy_with: Clip | None) -> Spoken:
    """Speak them all on one connection; another one speaks on and on where it is to be busy."""
    samples: list[Sample] = []
    onset_ms: list[float] = []
    failures: list[str] = []
    lag_ms = 0.0
    async with trio.open_nursery() as nursery:
        if keep_busy_with is not None:
            nursery.start_soon(_keep_busy, url, keep_busy_with)
        async with open_client(url) as client:
            for clip, placed in sessions(chosen):
                trace = await client.run_session(clip, CONFIG, pace=PACE)
                samples += samples_in(trace, placed)
                onset_ms += onset_times_ms(trace)
                lag_ms = max(lag_ms, trace.lag_ms)
                failures += [str(e.message["error"]["message"]) for e in trace.of_type("error")]
                if trace.failure is not None:
                    failures.append(trace.failure)
                    break
        nursery.cancel_scope.cancel()
    return Spoken(tuple(samples), tuple(onset_ms), tuple(failures), lag_ms)


async def _keep_busy(url: str, clip: Clip) -> None:
    """Another conversation: continuous speech with partials, again and again until cancelled."""
    config = {"language": "en", "interim_results": True}
    async with open_client(url) as client:
        while True:
            await client.run_session(clip, config, pace=PACE)


def report(idle: Spoken, busy: Spoken | None) -> dict[str, Any]:
    """All figures, JSON-able; utterances in which more than 8 s were spoken stand apart."""
    return {
        "endpoint_silence_ms": CONFIG["endpoint_silence_ms"],
        "idle": _figures(idle),
        "busy": None if busy is None else _figures(busy),
    }


def _figures(spoken: Spoken) -> Message:
    short = [s for s in spoken.samples if s.speech_s <= LONGEST_S]
    long = [s for s in spoken.samples if s.speech_s > LONGEST_S]
    labelled = [s.after_label_ms for s in short if s.after_label_ms is not None]
    slowest = sorted(short, key=lambda s: -s.ttfs_ms)[:10]
    return {
        "ttfs_ms": percentiles((s.ttfs_ms for s in short), 50, 95, 99),
        "after_labelled_end_ms": percentiles(labelled, 50, 95, 99),
        "ttfs_over_8_s_ms": percentiles((s.ttfs_ms for s in long), 50, 95, 99),
        "onset_event_ms": percentiles(spoken.onset_ms, 50, 95, 99),
        "slowest_ms": [{"id": s.id, "ttfs_ms": round(s.ttfs_ms, 1)} for s in slowest],
        "all_ttfs_ms": [round(s.ttfs_ms, 1) for s in short],
        "sender_lag_ms": round(spoken.lag_ms, 1),
        "failures": list(spoken.failures),
    }
