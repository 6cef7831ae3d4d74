"""Recordings for a browser: real speech where there is some, and turns with known beginnings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from attrs import frozen

from tools.playlist import Item
from tools.scoring import english_speech, read_manifest

RATE_HZ = 48_000
"""Of the file that Chromium plays as its microphone."""

ROOM_AMPLITUDE = 1e-4
"""-80 dBFS: no microphone is digitally silent."""

VOICE_DBFS = -45.0
WINDOW_S = 0.005

Samples = npt.NDArray[np.float32]


@frozen
class Recording:
    """A WAV file of `seconds`, what is said in it, and where each voice begins."""

    path: Path
    seconds: float
    text: str
    onsets_s: tuple[float, ...]


def real_speech(folder: Path, samples: dict[str, Item], *, seconds: float = 12.0) -> Recording:
    """Clips of different people out of SPEECH_CORPUS, or else synthetic ones."""
    names = ("question", "long_sentence")
    clips = [(samples[name].path, samples[name].reference or "") for name in names]
    if corpus := os.environ.get("SPEECH_CORPUS"):
        clips = []
        left_s = seconds
        speakers: set[str] = set()
        for entry in english_speech(read_manifest(corpus)):
            speaker = str(entry.fields.get("speaker"))
            is_brisk = len((entry.text or "").split()) >= 2 * entry.seconds
            if speaker in speakers or not is_brisk or not 3.0 <= entry.seconds <= min(6.0, left_s):
                continue
            speakers.add(speaker)
            left_s -= entry.seconds
            clips.append((entry.path, entry.text or ""))
    return turns(folder / "speech.wav", [(path, 1.2, text) for path, text in clips])


def turns(path: Path, clips: Sequence[tuple[Path, float, str]]) -> Recording:
    """Write clips one after another, each with so many seconds of a quiet room behind it."""
    parts: list[Samples] = [np.zeros(RATE_HZ, dtype=np.float32)]
    onsets_s = []
    for file, pause_s, _ in clips:
        clip, rate_hz = soundfile.read(file, dtype="float32")
        clip = soxr.resample(clip, rate_hz, RATE_HZ)
        onsets_s.append(sum(map(len, parts)) / RATE_HZ + first_voice_s(clip))
        parts += [clip, np.zeros(round(pause_s * RATE_HZ), dtype=np.float32)]
    audio = np.concatenate(parts)
    audio += np.random.default_rng(7).normal(0, ROOM_AMPLITUDE, len(audio)).astype(np.float32)
    soundfile.write(path, audio, RATE_HZ, subtype="PCM_16")
    text = " ".join(text for _, _, text in clips)
    return Recording(path, len(audio) / RATE_HZ, text, tuple(onsets_s))


def first_voice_s(clip: Samples) -> float:
    """Where a clip that begins with silence first is as loud as a quiet voice."""
    window = round(WINDOW_S * RATE_HZ)
    frames = clip[: len(clip) // window * window].reshape(-1, window)
    loud = np.sqrt((frames**2).mean(axis=1)) > 10 ** (VOICE_DBFS / 20)
    assert loud.any()
    return float(loud.argmax() * WINDOW_S)
