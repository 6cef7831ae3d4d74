"""The sample clips: what the manifest promises is what lies in the folder."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

SAMPLES = Path(__file__).parent.parent / "samples"
TOTAL_LIMIT_BYTES = 3_000_000
REQUIRED_FIELDS = {
    "id",
    "file",
    "seconds",
    "kind",
    "lang",
    "speaker",
    "text",
    "words",
    "source",
    "license",
    "synthetic",
}
NAMED_ELSEWHERE = {"hello_world", "long_speech", "interrupt", "yes", "no_thanks", "conversation"}
"""Clips that the demo, the documentation and other tests call by name."""


def _read_manifest() -> list[dict[str, Any]]:
    lines = (SAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


ENTRIES = _read_manifest()


def _entry(entry_id: str) -> dict[str, Any]:
    return next(entry for entry in ENTRIES if entry["id"] == entry_id)


def test_manifest_and_folder_list_the_same_clips() -> None:
    listed = [entry["file"] for entry in ENTRIES]
    assert len(listed) == len(set(listed))
    assert set(listed) == {path.name for path in SAMPLES.glob("*.flac")}


def test_clips_named_elsewhere_exist() -> None:
    assert {entry["id"] for entry in ENTRIES} >= NAMED_ELSEWHERE


def test_at_least_four_voices_of_both_sexes() -> None:
    single = [entry for entry in ENTRIES if "segments" not in entry]
    assert len({entry["speaker"] for entry in single}) >= 4
    assert {entry["sex"] for entry in single} == {"F", "M"}


def test_total_size_is_small_enough_for_a_repository() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < TOTAL_LIMIT_BYTES


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_clip_is_what_its_line_says(entry: dict[str, Any]) -> None:
    assert set(entry) >= REQUIRED_FIELDS
    assert entry["text"].strip()
    assert entry["synthetic"] is True
    info = soundfile.info(SAMPLES / entry["file"])
    assert (info.format, info.subtype) == ("FLAC", "PCM_16")
    assert (info.samplerate, info.channels) == (16_000, 1)
    # The manifest rounds to a millisecond.
    assert info.duration == pytest.approx(entry["seconds"], abs=0.001)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_clip_has_speech_between_silences_and_no_clipping(entry: dict[str, Any]) -> None:
    samples, rate_hz = soundfile.read(SAMPLES / entry["file"], dtype="float32")
    assert 0.1 < np.abs(samples).max() < 0.9
    audible = np.flatnonzero(np.abs(samples) > 0.005)
    lead_in_ms = audible[0] * 1000 / rate_hz
    tail_ms = (len(samples) - audible[-1]) * 1000 / rate_hz
    assert lead_in_ms == pytest.approx(200, abs=50)
    assert tail_ms == pytest.approx(500, abs=50)


def test_conversation_is_two_voices_with_pauses() -> None:
    conversation = _entry("conversation")
    turns = conversation["segments"]
    assert len({turn["speaker"] for turn in turns}) == 2
    assert " ".join(turn["text"] for turn in turns) == conversation["text"]
    pauses_ms = [after["start_ms"] - before["end_ms"] for before, after in pairwise(turns)]
    assert all(1000 <= pause_ms <= 1500 for pause_ms in pauses_ms)
    samples, rate_hz = soundfile.read(SAMPLES / conversation["file"], dtype="float32")
    for turn in turns:
        spoken = samples[turn["start_ms"] * rate_hz // 1000 : turn["end_ms"] * rate_hz // 1000]
        assert np.abs(spoken).max() > 0.1
    for before, after in pairwise(turns):
        start, end = (ms * rate_hz // 1000 for ms in (before["end_ms"] + 1, after["start_ms"] - 1))
        assert np.abs(samples[start:end]).max() == 0
