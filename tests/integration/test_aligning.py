"""The real aligner of words: times follow the audio, and every word has some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from fasttalk_stt.inference.aligning.ctc import CtcAligner
from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from tools.scoring import read_manifest

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "samples"
FRAME_S = 0.02


@pytest.fixture(scope="module")
def aligner() -> CtcAligner:
    aligner = CtcAligner()
    aligner.load()
    return aligner


@pytest.fixture(scope="module")
def speech() -> tuple[np.ndarray, list[str]]:
    entry = min(
        (entry for entry in read_manifest(SAMPLES) if entry.text and entry.seconds > 2),
        key=lambda entry: entry.seconds,
    )
    audio, _ = soundfile.read(entry.path, dtype="float32")
    return audio, (entry.text or "").split()


def test_times_follow_the_audio(aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]) -> None:
    audio, words = speech
    spans = aligner.align(audio, words)
    later = aligner.align(np.concatenate((np.zeros(16_000, np.float32), audio)), words)
    assert spans is not None
    assert later is not None
    moved = [
        b.start_s - a.start_s
        for a, b in zip(spans, later, strict=True)
        if a is not None and b is not None
    ]
    assert len(moved) == len(words)
    assert np.median(moved) == pytest.approx(1.0, abs=2 * FRAME_S)


def test_other_words_are_not_found_in_it(
    aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, words = speech
    others = ["xylophone", "zigzag", "quixotic", "jukebox"] * (len(words) // 4 + 1)
    assert aligner.align(audio, others) is None


def test_a_word_in_no_dictionary_is_spelled(
    aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, words = speech
    spans = aligner.align(audio, [*words[:-1], "Fasttalkish"])
    assert spans is not None
    assert spans[-1] is not None


def test_an_engine_with_it_times_every_word(
    aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, _ = speech
    model = resolve_model("tiny.en")
    exact = WhisperXBackend(model, device="cpu", aligner=aligner)
    exact.load()
    request = DecodeRequest(samples=audio, language="en")
    [aligned] = exact.decode([request])
    [draft] = exact.decode([DecodeRequest(samples=audio, language="en", provisional=True)])
    assert aligned.text == draft.text
    assert [w.start_s for w in aligned.words] != [w.start_s for w in draft.words]
    edges = [edge for word in aligned.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[-1] <= len(audio) / 16_000
