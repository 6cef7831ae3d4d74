"""The real Smart Turn model on the samples: done where a sentence ends, not done inside one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ
from fasttalk_stt.inference.smart_turn import SmartTurn

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def smart_turn() -> SmartTurn:
    model = SmartTurn()
    model.load()
    return model


def read(name: str) -> npt.NDArray[np.float32]:
    audio, rate_hz = soundfile.read(SAMPLES / f"{name}.flac", dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return np.asarray(audio, dtype=np.float32)


@pytest.mark.parametrize("name", ["hello_world", "question", "order_number", "vocabulary"])
def test_a_whole_sentence_is_done_and_its_first_half_is_not(
    smart_turn: SmartTurn, name: str
) -> None:
    whole = read(name)
    assert smart_turn.probability(whole) > 0.5
    assert smart_turn.probability(whole[: len(whole) // 2]) < 0.5


def test_only_the_last_eight_seconds_count(smart_turn: SmartTurn) -> None:
    speech = np.tile(read("question"), 4)
    assert len(speech) > 8 * SAMPLE_RATE_HZ
    last = speech[-8 * SAMPLE_RATE_HZ :]
    assert smart_turn.probability(speech) == smart_turn.probability(last)


@pytest.mark.parametrize("n_samples", [0, 1, 160, SAMPLE_RATE_HZ])
def test_short_and_silent_audio_has_an_answer(smart_turn: SmartTurn, n_samples: int) -> None:
    assert 0.0 <= smart_turn.probability(np.zeros(n_samples, dtype=np.float32)) <= 1.0
