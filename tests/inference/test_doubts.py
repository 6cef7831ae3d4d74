"""Which answers are decoded again."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.inference.doubts import echoes, stops_short
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest


def words(text: str, *, end_s: float = 1.0) -> list[DecodedWord]:
    return [DecodedWord(f" {word}", 0.0, end_s, 0.9) for word in text.split()]


@pytest.mark.parametrize(
    ("new", "prefix", "expected"),
    [
        ("You can call me Abi.", "I'm Abigail. You can call me Abi.", True),
        ("you can call me", "You can call me Abi.", True),
        ("You can call me Bob.", "You can call me Abi.", False),
        ("no", "no no no", False),
        ("yes please", "", False),
        ("", "yes please", False),
    ],
)
def test_an_answer_that_only_repeats_the_prefix_is_an_echo(
    new: str, prefix: str, *, expected: bool
) -> None:
    assert echoes(words(new), prefix) is expected


@pytest.mark.parametrize(("end_s", "expected"), [(0.84, True), (1.7, False), (2.6, False)])
def test_an_answer_that_leaves_a_second_of_audio_is_doubted(
    end_s: float, *, expected: bool
) -> None:
    request = DecodeRequest(samples=np.zeros(42_240, dtype=np.float32))
    assert stops_short(words("Complexity", end_s=end_s), request) is expected


def test_no_words_are_no_sign_of_a_stop() -> None:
    assert not stops_short([], DecodeRequest(samples=np.zeros(48_000, dtype=np.float32)))
