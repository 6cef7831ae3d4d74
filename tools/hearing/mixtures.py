"""What is played: recordings of a corpus with quiet around them, varied noise, speech in noise, and
the bot's own voice leaking into the microphone.

Everything is made from the corpus and a seed; the same seed makes the same samples. Levels of speech
are active levels (`audio.active_level_dbfs`), so an SNR does not depend on the pauses in a clip.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from tools.hearing.audio import (
    Audio,
    active_level_dbfs,
    clipped,
    faded,
    level_dbfs,
    load,
    ms_of,
    repeated,
    room_tone,
    rotated,
    samples_of,
    with_gain,
)
from tools.scoring import CorpusEntry

VOICES = (
    "babble",
    "crowd",
    "baby",
    "cry",
    "laugh",
    "imitating",
    "talk",
    "voice",
    "child",
    "chatter",
)
"""Words in a noise's label that say people are heard in it: an onset there is not simply wrong."""

LEAD_S = 1.0
TAIL_S = 1.5
"""Quiet around what is played: long enough for the detectors to settle before it, and for the last
utterance to end behind it."""
NOISE_LEAD_S = 2.0
"""Noise begins so long before the speech in it."""

GAINS_DB = (-12.0, 6.0)
"""Noise is varied by a gain drawn evenly from this range. A recording already close to full scale
clips at the top of it, as a microphone would."""
QUIETEST_NOISE_DBFS = -60.0
"""A quieter file is no noise to mix in at an SNR: its own hiss would be raised to speech level."""
SHORTEST_NOISE_S = 4.0
"""A shorter file, repeated under a sentence, would be a rhythm rather than a noise."""

SNRS_DB = (20.0, 10.0, 5.0, 0.0)
LEAKS_DB = (-6.0, -12.0, -18.0, -24.0, -30.0)


@frozen
class Source:
    """A corpus recording in memory."""

    entry: CorpusEntry
    samples: Audio = field(eq=False, repr=False)

    @property
    def id(self) -> str:
        return self.entry.id


@frozen
class Take:
    """One recording as it is played.

    `kind` is what is heard in it, `group` "speech", "noise", "voices", "music", "silence" or "bot".
    `speech_ms` is where the labelled words begin and end, None where there are none; `sound_ms`
    where the recording itself lies between the quiet. `made_of` says how it was mixed.
    """

    id: str
    samples: Audio = field(eq=False, repr=False)
    kind: str
    group: str
    sound_ms: tuple[float, float]
    speech_ms: tuple[float, float] | None = None
    made_of: Mapping[str, Any] = field(factory=dict, eq=False)

    @property
    def sound_hours(self) -> float:
        return (self.sound_ms[1] - self.sound_ms[0]) / 3_600_000


def read_sources(entries: Iterable[CorpusEntry]) -> list[Source]:
    """Read the recordings, in the order of the manifest. Raises AudioFileError."""
    return [Source(entry, load(entry.path)) for entry in entries]


def rng_for(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each thing made, so that leaving one out changes no other."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def kind_of(entry: CorpusEntry) -> str:
    return str(entry.fields.get("label") or entry.kind)


def group_of(entry: CorpusEntry) -> str:
    """The entry's kind; "voices" for noise in which people are heard."""
    label = kind_of(entry).lower()
    if entry.kind == "noise" and any(word in label for word in VOICES):
        return "voices"
    return entry.kind


def noise_takes(sources: Sequence[Source], hours: float, *, seed: int) -> Iterator[Take]:
    """Non-speech recordings, at least `hours` of them: first as they are, then varied in rounds.

    A variation has another gain and begins at another place of the recording, as a loop.
    """
    seconds, turn = 0.0, 0
    while sources and (turn == 0 or seconds < hours * 3600):
        for source in sources:
            if turn and seconds >= hours * 3600:
                return
            yield _noise_take(source, turn, seed)
            seconds += len(source.samples) / 16_000
        turn += 1


def _noise_take(source: Source, turn: int, seed: int) -> Take:
    rng = rng_for(seed, "noise", source.id, str(turn))
    gain_db, offset = 0.0, 0
    if turn:
        gain_db = round(float(rng.uniform(*GAINS_DB)), 2)
        offset = int(rng.integers(0, len(source.samples)))
    sound = faded(clipped(with_gain(rotated(source.samples, offset), gain_db)))
    return _between_quiet(
        f"{source.id}#{turn}",
        sound,
        rng,
        kind=kind_of(source.entry),
        group=group_of(source.entry),
        made_of={
            "source": source.id,
            "gain_db": gain_db,
            "offset_s": offset / 16_000,
            "turn": turn,
        },
    )


def is_varied(take: Take) -> bool:
    """Whether a take of `noise_takes` is a variation of its recording."""
    return bool(take.made_of["turn"])


def clean_takes(sources: Sequence[Source], *, seed: int) -> Iterator[Take]:
    """Speech as it is, with quiet around it."""
    for source in sources:
        yield _between_quiet(
            source.id,
            source.samples,
            rng_for(seed, "clean", source.id),
            kind="clean",
            group="speech",
            words=labelled_ms(source.entry),
            made_of={"source": source.id},
        )


def speech_in_noise(
    speech: Sequence[Source], noise: Sequence[Source], snr_db: float, *, seed: int
) -> Iterator[Take]:
    """Each clip in one noise at an SNR, kinds of noise taking turns; the noise begins before it."""
    kinds = _by_kind(source for source in noise if is_noise_to_mix(source))
    if not kinds:
        raise ValueError(
            "no noise to mix with speech: the corpus needs one of 4 s or more, no voices"
        )
    for number, source in enumerate(speech):
        rng = rng_for(seed, "snr", source.id, f"{snr_db:g}")
        kind = list(kinds)[number % len(kinds)]
        chosen = kinds[kind][int(rng.integers(0, len(kinds[kind])))]
        lead, tail = samples_of(NOISE_LEAD_S), samples_of(TAIL_S)
        n_samples = lead + len(source.samples) + tail
        offset = int(rng.integers(0, len(chosen.samples)))
        background = repeated(chosen.samples, n_samples, offset)
        under_speech = background[lead : lead + len(source.samples)]
        mixed = at_snr(source.samples, under_speech, snr_db, background)
        mixed[lead : lead + len(source.samples)] += source.samples
        yield _take(
            f"{source.id}+{chosen.id}@{snr_db:g}dB",
            _without_overload(faded(mixed)),
            kind=kind,
            group=group_of(chosen.entry),
            sound=(lead, lead + len(source.samples)),
            words=labelled_ms(source.entry),
            made_of={
                "source": source.id,
                "noise": chosen.id,
                "snr_db": snr_db,
                "offset_s": offset / 16_000,
            },
        )


def at_snr(speech: Audio, noise: Audio, snr_db: float, whole: Audio | None = None) -> Audio:
    """`whole` (by default the noise) with the gain that puts `noise` at that SNR under `speech`.

    The speech's level is that of its active parts, the noise's that of all of it.
    """
    gain_db = active_level_dbfs(speech) - snr_db - level_dbfs(noise)
    return with_gain(noise if whole is None else whole, gain_db)


def is_noise_to_mix(source: Source) -> bool:
    long_enough = len(source.samples) >= samples_of(SHORTEST_NOISE_S)
    return long_enough and level_dbfs(source.samples) > QUIETEST_NOISE_DBFS


def leak_alone(
    bot: Sequence[Source], leak_db: float, *, user_dbfs: float, seed: int
) -> Iterator[Take]:
    """The bot speaking while nobody else does: its voice `leak_db` below a user at `user_dbfs`."""
    for source in bot:
        gain_db = user_dbfs + leak_db - active_level_dbfs(source.samples)
        yield _between_quiet(
            f"{source.id}@{leak_db:g}dB",
            with_gain(source.samples, gain_db),
            rng_for(seed, "leak", source.id, f"{leak_db:g}"),
            kind=f"leak {leak_db:g} dB",
            group="bot",
            made_of={"source": source.id, "leak_db": leak_db, "user_dbfs": round(user_dbfs, 1)},
        )


def leak_under_speech(
    speech: Sequence[Source], bot: Sequence[Source], leak_db: float, *, seed: int
) -> Iterator[Take]:
    """A user who begins 2 s after the bot: the bot goes on, `leak_db` below the user's voice."""
    voice = np.concatenate([source.samples for source in bot])
    for source in speech:
        rng = rng_for(seed, "barge", source.id, f"{leak_db:g}")
        lead, tail = samples_of(NOISE_LEAD_S), samples_of(TAIL_S)
        n_samples = lead + len(source.samples) + tail
        offset = int(rng.integers(0, len(voice)))
        leak = repeated(voice, n_samples, offset)
        gain_db = active_level_dbfs(source.samples) + leak_db - active_level_dbfs(voice)
        mixed = with_gain(leak, gain_db)
        mixed[lead : lead + len(source.samples)] += source.samples
        yield _take(
            f"{source.id}+bot@{leak_db:g}dB",
            _without_overload(faded(mixed)),
            kind=f"leak {leak_db:g} dB",
            group="bot",
            sound=(lead, lead + len(source.samples)),
            words=labelled_ms(source.entry),
            made_of={"source": source.id, "leak_db": leak_db, "offset_s": offset / 16_000},
        )


def has_checked_words(entry: CorpusEntry) -> bool:
    """Whether somebody checked the word times by hand, so that delays may be measured on them."""
    checked = str(entry.fields.get("word_times") or "").startswith("hand-verified")
    return checked and bool(entry.fields.get("words")) and entry.is_single_clip


def labelled_ms(entry: CorpusEntry) -> tuple[float, float] | None:
    """From the first labelled word's start to the last one's end, where there are labels."""
    words = entry.fields.get("words")
    return (float(words[0]["start_ms"]), float(words[-1]["end_ms"])) if words else None


def _between_quiet(
    name: str,
    sound: Audio,
    rng: np.random.Generator,
    *,
    kind: str,
    group: str,
    made_of: Mapping[str, Any],
    words: tuple[float, float] | None = None,
) -> Take:
    """The sound with its own room tone before and after it (none around a noise: it is the room)."""
    tone = sound if group in ("speech", "bot") else sound[:0]
    lead = room_tone(tone, samples_of(LEAD_S), rng)
    samples = np.concatenate((lead, sound, room_tone(tone, samples_of(TAIL_S), rng)))
    return _take(
        name,
        samples,
        kind=kind,
        group=group,
        sound=(len(lead), len(lead) + len(sound)),
        words=words,
        made_of=made_of,
    )


def _take(
    name: str,
    samples: Audio,
    *,
    kind: str,
    group: str,
    sound: tuple[int, int],
    words: tuple[float, float] | None,
    made_of: Mapping[str, Any],
) -> Take:
    begin_ms = ms_of(sound[0])
    return Take(
        id=name,
        samples=samples,
        kind=kind,
        group=group,
        sound_ms=(begin_ms, ms_of(sound[1])),
        speech_ms=None if words is None else (begin_ms + words[0], begin_ms + words[1]),
        made_of=made_of,
    )


def _without_overload(samples: Audio) -> Audio:
    """Turned down as a whole where it would clip, so that an SNR stays what it is."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak <= 1.0 else (samples / np.float32(peak)).astype(np.float32)


def _by_kind(sources: Iterable[Source]) -> dict[str, list[Source]]:
    kinds: dict[str, list[Source]] = {}
    for source in sources:
        kinds.setdefault(kind_of(source.entry), []).append(source)
    return dict(sorted(kinds.items()))
