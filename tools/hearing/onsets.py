"""Speech onsets: how soon they are reported, how many are missed, and how many are false.

No words are needed: the engine hears nothing, so every onset must be taken back. Delays are
measured on recordings whose word times were checked by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import define, field, frozen

from tools.hearing.audio import active_level_dbfs
from tools.hearing.engines import deaf_engine
from tools.hearing.labels import Onset, SpeechVerdict, badly_answered, judge_speech, onsets_of
from tools.hearing.listening import Setup, WrapDetector, setup
from tools.hearing.mixtures import (
    Source,
    Take,
    clean_takes,
    group_of,
    leak_alone,
    leak_under_speech,
    noise_takes,
    speech_in_noise,
)
from tools.hearing.playing import Played, play
from tools.hearing.statistics import Rate, percentiles, rate_per_hour
from tools.hearing.tapes import Tapes

STATES = ("listening", "responding")
BARGE_IN_CLIPS = 27
"""Users who speak over the bot at each level, of all speakers: there are many levels and two states."""
SWEEP = (-1.1, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.6)
"""Operating points: these are added to the bias of the default rule."""
SWEEP_FRAME_MS = 100.0
"""Decisions fall on the detector's own frames, so larger messages change nothing but the cost."""


@frozen
class Material:
    """What the onsets are measured on."""

    labelled: Sequence[Source]
    noise: Sequence[Source]
    bot: Sequence[Source]
    noise_hours: float
    snrs_db: Sequence[float]
    leaks_db: Sequence[float]
    seed: int

    @property
    def user_dbfs(self) -> float:
        """The median active level of the speakers: what a leak alone is relative to."""
        return float(np.median([active_level_dbfs(source.samples) for source in self.labelled]))


def measure(material: Material, vad: str) -> dict[str, Any]:
    """All figures of one detector, JSON-able."""
    seed = material.seed
    listening = setup(vad=vad)
    noise = noise_takes(material.noise, material.noise_hours, seed=seed)
    results: dict[str, Any] = {
        "vad": vad,
        "clean": speech_figures(_hear(clean_takes(material.labelled, seed=seed), listening)),
        "noise": noise_figures(_hear(noise, listening)),
        "snr": {},
        "leak": {state: {} for state in STATES},
    }
    for snr_db in material.snrs_db:
        takes = speech_in_noise(material.labelled, material.noise, snr_db, seed=seed)
        results["snr"][f"{snr_db:g}_db"] = snr_figures(_hear(takes, listening))
    for state in STATES:
        how = setup(vad=vad, conversation_state=state)
        results["leak"][state]["clean"] = (
            results["clean"]
            if state == "listening"
            else speech_figures(_hear(clean_takes(material.labelled, seed=seed), how))
        )
        for leak_db in material.leaks_db:
            results["leak"][state][f"{leak_db:g}_db"] = _leak_figures(material, leak_db, how)
    return results


def _leak_figures(material: Material, leak_db: float, how: Setup) -> dict[str, Any]:
    seed = material.seed
    alone = leak_alone(material.bot, leak_db, user_dbfs=material.user_dbfs, seed=seed)
    heard = _hear(alone, how)
    users = material.labelled[:: max(len(material.labelled) // BARGE_IN_CLIPS, 1)]
    under = leak_under_speech(users, material.bot, leak_db, seed=seed)
    return {
        "alone": noise_figures(heard)["all"]
        | {"clips_with_onset": sum(bool(onsets_of(log)) for _, log in heard)},
        "under_speech": speech_figures(_hear(under, how)),
    }


def speech_figures(played: Sequence[Played]) -> dict[str, Any]:
    """Delays, misses and early openings on takes with labelled speech."""
    verdicts: list[tuple[Take, SpeechVerdict]] = []
    answered: list[Onset] = []
    for take, log in played:
        onsets = onsets_of(log)
        answered += onsets
        if take.speech_ms is not None:
            verdicts.append((take, judge_speech(onsets, take.speech_ms)))
    delays_ms = [v.delay_ms for _, v in verdicts if v.delay_ms is not None]
    missed = [take.id for take, verdict in verdicts if verdict.is_missed]
    return {
        "utterances": len(verdicts),
        "delay_ms": percentiles(delays_ms, 50, 95),
        "missed": len(missed),
        "missed_ids": missed,
        "recall": round(1 - len(missed) / len(verdicts), 4) if verdicts else None,
        "open_before": sum(verdict.is_open_before for _, verdict in verdicts),
        "false_before": sum(verdict.n_before for _, verdict in verdicts),
        "onsets_not_rejected_once": badly_answered(answered),
        "errors": _errors(played),
    }


def snr_figures(played: Sequence[Played]) -> dict[str, Any]:
    """As `speech_figures`, for noise without voices, for voices, and each kind."""
    kinds = sorted({take.kind for take, _ in played})
    return {
        "all": speech_figures(played),
        "without_voices": speech_figures([p for p in played if p[0].group != "voices"]),
        "voices": speech_figures([p for p in played if p[0].group == "voices"]),
        "by_kind": {
            kind: speech_figures([p for p in played if p[0].kind == kind]) for kind in kinds
        },
    }


@define
class _Tally:
    """What was heard on some takes without speech."""

    hours: float = 0.0
    takes: int = 0
    onsets: list[Onset] = field(factory=list)

    def figures(self) -> dict[str, Any]:
        rejected = sum(len(onset.rejections) == 1 for onset in self.onsets)
        reasons = Counter(reason for onset in self.onsets for _, reason in onset.rejections)
        rate: Rate = rate_per_hour(len(self.onsets), self.hours)
        return {
            "takes": self.takes,
            "hours": round(self.hours, 4),
            "false_onsets": rate.count,
            "false_onsets_per_hour": round(rate.per_hour, 2),
            "false_onsets_per_hour_95": [
                round(rate.low_per_hour, 2),
                round(rate.high_per_hour, 2),
            ],
            "rejected_once_share": round(rejected / len(self.onsets), 4) if self.onsets else None,
            "rejection_reasons": dict(reasons),
        }


def noise_figures(played: Sequence[Played]) -> dict[str, Any]:
    """False onsets per hour of sound: in all, by group, and by kind."""
    tallies: dict[str, _Tally] = {}
    for take, log in played:
        onsets = onsets_of(log)
        names = ["all", f"group {take.group}", f"kind {take.kind}"]
        names += ["without_voices"] if take.group != "voices" else []
        for name in names:
            tally = tallies.setdefault(name, _Tally())
            tally.hours += take.sound_hours
            tally.takes += 1
            tally.onsets += onsets
    named = {name: tally.figures() for name, tally in sorted(tallies.items())}
    return {
        "all": named.get("all"),
        "without_voices": named.get("without_voices"),
        "by_group": {n.partition(" ")[2]: f for n, f in named.items() if n.startswith("group ")},
        "by_kind": {n.partition(" ")[2]: f for n, f in named.items() if n.startswith("kind ")},
        "errors": _errors(played),
    }


def sweep(material: Material, vad: str, offsets: Sequence[float] = SWEEP) -> list[dict[str, Any]]:
    """The same detector with other biases: delay against false onsets.

    Measured on clean speech, at 5 dB, and on each noise as recorded, once. The detector judges each
    recording once; the points are played from its tape.
    """
    how = setup(vad=vad, frame_ms=SWEEP_FRAME_MS)
    seed, labelled = material.seed, material.labelled
    impersonal = [source for source in material.noise if group_of(source.entry) != "voices"]
    tapes = Tapes()
    points = []
    for offset in offsets:
        wrap = tapes.playing(offset)
        at_clean = speech_figures(_hear(clean_takes(labelled, seed=seed), how, wrap))
        noisy = speech_in_noise(labelled, impersonal, 5.0, seed=seed)
        at_5_db = speech_figures(_hear(noisy, how, wrap))
        false = noise_figures(_hear(noise_takes(impersonal, 0.0, seed=seed), how, wrap))["all"]
        points.append(
            {
                "bias": tapes.bias,
                "is_default": offset == 0.0,
                "delay_ms": at_clean["delay_ms"],
                "missed": at_clean["missed"],
                "utterances": at_clean["utterances"],
                "missed_5_db": at_5_db["missed"],
                "delay_5_db_ms": at_5_db["delay_ms"],
                "false_onsets_per_hour": false["false_onsets_per_hour"],
                "false_onsets_per_hour_95": false["false_onsets_per_hour_95"],
            }
        )
    return points


def _hear(takes: Iterable[Take], how: Setup, wrap: WrapDetector | None = None) -> list[Played]:
    return play(takes, how, deaf_engine(), wrap_detector=wrap)


def _errors(played: Sequence[Played]) -> list[str]:
    return [f"{take.id}: {error}" for take, log in played for error in log.errors]


def describe(material: Material) -> Mapping[str, Any]:
    """What it was measured on, for the report."""
    return {
        "labelled_ids": [source.id for source in material.labelled],
        "noise_ids": [source.id for source in material.noise],
        "bot_ids": [source.id for source in material.bot],
        "noise_hours_wanted": material.noise_hours,
        "snrs_db": list(material.snrs_db),
        "leaks_db": list(material.leaks_db),
        "user_active_level_dbfs": round(material.user_dbfs, 1),
        "seed": material.seed,
    }
