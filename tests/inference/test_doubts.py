"""Which answers are decoded again."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.inference.decoding import Draft
from fasttalk_stt.inference.doubts import Doubt, echoes, find_doubt, stops_short
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest


def words(text: str, *, end_s: float = 1.0) -> list[DecodedWord]:
    return [DecodedWord(f" {word}", 0.0, end_s, 0.9) for word in text.split()]


@pytest.mark.parametrize(
    ("new", "prefix", "expected"),
    [
        ("You can call me Abi.", "I'm Abigail. You can call me Abi.", True),
        ("you can call me", "You can call me Abi.", True),
        ("You can call Bob.", "You can call me Abi.", False),
        # A phrase that began in the prefix comes again.
        ("some words. We're just saying some words.", "Loud. We're just saying", True),
        ("some words. We're now saying some words.", "Loud. We're just saying", False),
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


def draft(
    text: str, *, log_probability: float = -0.3, no_speech: float = 0.1, hit_limit: bool = False
) -> Draft:
    return Draft(
        tokens=tuple(range(len(text))),
        text=text,
        average_log_probability=log_probability,
        no_speech_probability=no_speech,
        hit_limit=hit_limit,
    )


THREE_SECONDS = DecodeRequest(
    samples=np.zeros(48_000, dtype=np.float32), prefix_text="Please hold the line."
)


@pytest.mark.parametrize(
    ("answer", "end_s", "close", "far"),
    [
        (draft("Thank you."), 2.9, None, None),
        (draft("no way " * 30), 2.9, Doubt.LOOP, Doubt.LOOP),
        (draft("Thank you.", hit_limit=True), 2.9, Doubt.LOOP, Doubt.LOOP),
        (draft("Thank you.", log_probability=-1.2), 2.9, Doubt.UNLIKELY, Doubt.UNLIKELY),
        (draft("Thank you.", log_probability=-0.8), 2.9, None, None),
        (draft("", log_probability=-1.2, no_speech=0.9), 0.0, None, None),
        (draft("hold the line"), 2.9, Doubt.ECHO, Doubt.ECHO),
        (draft("Ten of clubs. Ten of clubs."), 2.9, Doubt.TWICE, None),
        (draft("Thank you."), 1.5, Doubt.STOPS_SHORT, Doubt.STOPS_SHORT),
    ],
)
def test_the_gravest_doubt_is_found(
    answer: Draft, end_s: float, close: Doubt | None, far: Doubt | None
) -> None:
    heard = words(answer.text, end_s=end_s)
    assert find_doubt(answer, heard, THREE_SECONDS, is_close=True) is close
    assert find_doubt(answer, heard, THREE_SECONDS, is_close=False) is far


@pytest.mark.parametrize(("seconds", "expected"), [(5.0, None), (7.0, Doubt.STOPS_SHORT)])
def test_a_look_may_leave_its_end_out_unless_much_is_open(
    seconds: float, expected: Doubt | None
) -> None:
    samples = np.zeros(int(seconds * 16_000), dtype=np.float32)
    found = words("Complexity", end_s=1.0)
    for provisional, doubt in ((True, expected), (False, Doubt.STOPS_SHORT)):
        request = DecodeRequest(samples=samples, provisional=provisional)
        assert find_doubt(draft("Complexity"), found, request, is_close=True) is doubt
