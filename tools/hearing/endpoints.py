"""Endpoints: how long after the last word an utterance is ended, against how often it is ended in a
pause of somebody who goes on.

Where speakers really paused is found once, with the voice detector alone and no endpoint at all.
Each endpointer then listens to the same recordings at several `endpoint_silence_ms`, with the real
engine's words. What is scored is what a client sees: when `speech_ended` came, in audio time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs
import numpy as np
from attrs import frozen

from fasttalk_stt.audio.endpointer import (
    Endpointer,
    EndpointerSettings,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceDetector
from fasttalk_stt.connection.ears import Ears
from tools.hearing.audio import Audio, ms_of, room_tone, samples_of
from tools.hearing.engines import RememberingEngine
from tools.hearing.listening import SessionLog, ears_of, listen, setup
from tools.hearing.mixtures import Source, rng_for
from tools.hearing.statistics import Estimate, bootstrap, interpolated
from tools.hearing.tapes import Tapes
from tools.scoring import CorpusEntry

ENDPOINTERS = ("silence", "adaptive", "smart")
SILENCES_MS = (200, 300, 400, 500, 700, 1000)
BUDGET_MS = 500.0
"""Endpointers are compared where their median delay is this long."""
LATENCY_S = 0.12
"""From a request to its answer, in audio time: tiny.en on two cores takes about that for 3 s."""

SHORTEST_PAUSE_MS = 100.0
FINE_SENSITIVITY = 1
"""To find pauses: soft syllables shall not make one."""
TAIL_S = 3.0
"""Of room tone behind the last word: longer than any endpoint that is measured."""
MATCH_MS = 300.0
"""An endpoint whose speech ended this near to a pause's beginning is that pause's: detectors in
two runs differ by a few frames, and pauses that are shorter merge with what follows."""

CLIPS = ("voicenote_*", "lj_*", "libri_*", "vctk_*", "sonnet_*", "jfk_*", "librivox_*", "mfa_*")
"""Ids of single recordings in which people say more than one clause."""

Indices = Iterable[int]
"""Which recordings are meant, some of them perhaps several times."""


@frozen
class Pause:
    """Quiet inside an utterance; the speaker goes on at `end_ms`."""

    start_ms: float
    end_ms: float


@frozen
class Passage:
    """A recording with room tone behind it, its pauses, and where its last word ends."""

    id: str
    samples: Audio = attrs.field(eq=False, repr=False)
    pauses: tuple[Pause, ...]
    end_ms: float


@frozen
class PassageScore:
    """One recording under one setting.

    `delay_ms` is from the end of the last word to the news of it, None where none came. `cuts` are
    the pauses that ended the utterance.
    """

    id: str
    delay_ms: float | None
    n_pauses: int
    cuts: tuple[Pause, ...]


@frozen
class Operation:
    """All recordings under one endpointer and `endpoint_silence_ms`."""

    endpointer: str
    endpoint_silence_ms: int
    scores: tuple[PassageScore, ...]

    def delay_ms(self, chosen: Indices) -> float | None:
        delays = [self.scores[i].delay_ms for i in chosen]
        known = [delay for delay in delays if delay is not None]
        return float(np.median(known)) if known else None

    def cut_share(self, chosen: Indices) -> float | None:
        pauses = sum(self.scores[i].n_pauses for i in chosen)
        return sum(len(self.scores[i].cuts) for i in chosen) / pauses if pauses else None


def is_passage(entry: CorpusEntry) -> bool:
    named = any(fnmatchcase(entry.id, pattern) for pattern in CLIPS)
    wanted = named or bool(entry.fields.get("passage"))
    return wanted and entry.kind == "speech" and entry.lang == "en" and entry.is_single_clip


def passages(sources: Sequence[Source], *, seed: int) -> list[Passage]:
    """The recordings with what is known of their pauses; those without speech are left out."""
    made = []
    ears = ears_of(setup())
    for source in sources:
        rng = rng_for(seed, "passage", source.id)
        tail = room_tone(source.samples, samples_of(TAIL_S), rng)
        samples = np.concatenate((source.samples, tail)).astype(np.float32)
        found = find_pauses(samples, ears.make_detector(FINE_SENSITIVITY))
        if found is not None:
            made.append(Passage(source.id, samples, *found))
    return made


def find_pauses(samples: Audio, detector: VoiceDetector) -> tuple[tuple[Pause, ...], float] | None:
    """The pauses of at least 100 ms and the end of speech; None where nobody speaks."""
    endpointer = Endpointer(
        EndpointerSettings(
            rule=detector.rule(bot_is_speaking=False),
            pause_samples=pipeline_samples(SHORTEST_PAUSE_MS / 1000),
            endpoint_silence_samples=len(samples) + 1,
            max_silence_samples=len(samples) + 1,
        )
    )
    events = [event for frame in detector.push(samples) for event in endpointer.push(frame)]
    if not any(isinstance(event, SpeechStarted) for event in events):
        return None
    pauses: list[Pause] = []
    begun_ms = 0.0
    for event in events:
        if isinstance(event, SpeechPaused):
            begun_ms = ms_of(event.speech_end)
        elif isinstance(event, SpeechResumed):
            pauses.append(Pause(begun_ms, begun_ms + ms_of(event.pause_samples)))
    return tuple(pauses), ms_of(endpointer.speech_end)


def operate(
    recordings: Sequence[Passage],
    endpointer: str,
    silences_ms: Sequence[int],
    engine: RememberingEngine,
    tapes: Tapes,
) -> list[Operation]:
    """Let one endpointer listen to all recordings at several settings.

    `tapes` may be those of other endpointers on the same recordings.
    """
    ears: Ears = ears_of(setup(endpointer=endpointer))
    operations = []
    for silence_ms in silences_ms:
        how = setup(endpointer=endpointer, endpoint_silence_ms=silence_ms)
        logs = listen(recordings, how, engine, ears=ears, wrap_detector=tapes.playing())
        scores = tuple(score(p, log) for p, log in zip(recordings, logs, strict=True))
        operations.append(Operation(endpointer, silence_ms, scores))
    return operations


def score(passage: Passage, log: SessionLog) -> PassageScore:
    """Match the endpoints that were told with the pauses and the end."""
    ends = [
        (float(each.message["data"]["audio_end_ms"]), each.at_ms)
        for each in log.of_type("speech_ended")
    ]
    marks = [pause.start_ms for pause in passage.pauses] + [passage.end_ms]
    cuts: set[int] = set()
    delay_ms = None
    for end_ms, told_ms in ends:
        nearest = min(range(len(marks)), key=lambda i: abs(marks[i] - end_ms))
        if abs(marks[nearest] - end_ms) > MATCH_MS:
            continue
        if nearest < len(passage.pauses):
            cuts.add(nearest)
        else:
            delay_ms = told_ms - passage.end_ms
    return PassageScore(
        id=passage.id,
        delay_ms=delay_ms,
        n_pauses=len(passage.pauses),
        cuts=tuple(passage.pauses[i] for i in sorted(cuts)),
    )


def merged(parts: Sequence[Sequence[Operation]]) -> list[Operation]:
    """The same operations on several sets of recordings as operations on all of them."""
    return [
        attrs.evolve(same[0], scores=tuple(score for one in same for score in one.scores))
        for same in zip(*parts, strict=True)
    ]


def share_at(
    operations: Sequence[Operation], chosen: Indices, budget_ms: float = BUDGET_MS
) -> float | None:
    """One endpointer's share of cut pauses where its median delay is the budget."""
    points = []
    for operation in operations:
        delay_ms, share = operation.delay_ms(chosen), operation.cut_share(chosen)
        if delay_ms is not None and share is not None:
            points.append((delay_ms, share))
    return interpolated(points, budget_ms)


def reduction(
    plain: Sequence[Operation], other: Sequence[Operation], budget_ms: float = BUDGET_MS
) -> Estimate:
    """By which share `other` cuts fewer pauses than `plain` at the same median delay (1 = all)."""

    def figure(chosen: Indices) -> float | None:
        before = share_at(plain, chosen, budget_ms)
        after = share_at(other, chosen, budget_ms)
        return None if not before or after is None else 1 - after / before

    n_passages = len(plain[0].scores) if plain else 0
    return bootstrap(n_passages, figure)


def report(operations: Sequence[Operation], budget_ms: float = BUDGET_MS) -> dict[str, Any]:
    """All figures, JSON-able."""
    by_name: dict[str, list[Operation]] = {}
    for operation in operations:
        by_name.setdefault(operation.endpointer, []).append(operation)
    some = operations[0].scores if operations else ()
    everything = range(len(some))
    return {
        "budget_ms": budget_ms,
        "engine_latency_ms": LATENCY_S * 1000,
        "recording_ids": [each.id for each in some],
        "pauses": sum(each.n_pauses for each in some),
        "points": [_point(operation) for operation in operations],
        "cut_share_at_budget": {
            n: share_at(ops, everything, budget_ms) for n, ops in by_name.items()
        },
        "reduction_against_silence": {
            name: attrs.asdict(reduction(by_name["silence"], ops, budget_ms))
            for name, ops in by_name.items()
            if name != "silence" and "silence" in by_name
        },
    }


def _point(operation: Operation) -> Mapping[str, Any]:
    everything = range(len(operation.scores))
    delays = [s.delay_ms for s in operation.scores if s.delay_ms is not None]
    return {
        "endpointer": operation.endpointer,
        "endpoint_silence_ms": operation.endpoint_silence_ms,
        "delay_ms": {
            "p50": operation.delay_ms(everything),
            "p90": float(np.percentile(delays, 90)) if delays else None,
            "count": len(delays),
        },
        "cut_share": operation.cut_share(everything),
        "cuts": sum(len(each.cuts) for each in operation.scores),
        "without_end": [each.id for each in operation.scores if each.delay_ms is None],
        "cuts_by_recording": {each.id: len(each.cuts) for each in operation.scores if each.cuts},
    }
