"""Which answer is kept, and what it says in the end."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from fasttalk_stt.inference.answers import Answer, Language, best_answer, to_hypothesis
from fasttalk_stt.inference.decoding import Draft
from fasttalk_stt.inference.doubts import Doubt
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest

TWO_SECONDS = DecodeRequest(samples=np.zeros(32_000, dtype=np.float32))


def answer(text: str, log_probability: float = -0.3, *, doubt: Doubt | None = None) -> Answer:
    pieces = text.split()
    return Answer(
        draft=Draft(
            tokens=tuple(range(len(pieces))),
            text=text,
            average_log_probability=log_probability,
            no_speech_probability=0.1,
            hit_limit=False,
        ),
        words=tuple(
            DecodedWord(f" {piece}", 0.1 * index, 0.1 * index + 0.1, 0.9)
            for index, piece in enumerate(pieces)
        ),
        language=Language("en", 1.0),
        doubt=doubt,
        compute_ms=10.0,
    )


def test_an_answer_without_doubt_is_kept() -> None:
    first = answer("hello there hello there", -0.1, doubt=Doubt.TWICE)
    second = answer("hello there", -0.9)
    assert best_answer([first, second]) is second


def test_of_two_unlikely_ones_the_later_is_kept() -> None:
    narrow = answer("one", -1.1, doubt=Doubt.UNLIKELY)
    wide = answer("won", -1.5, doubt=Doubt.UNLIKELY)
    assert best_answer([narrow, wide]) is wide


def test_a_loop_is_the_last_resort() -> None:
    loop = answer("a b c " * 20, -0.1, doubt=Doubt.LOOP)
    unlikely = answer("x", -2.0, doubt=Doubt.UNLIKELY)
    assert best_answer([loop, unlikely]) is unlikely
    assert best_answer([loop]) is loop


def test_a_later_answer_that_is_worse_is_not_kept() -> None:
    first = answer("mumble", doubt=Doubt.UNLIKELY)
    loop = answer("no way " * 30, doubt=Doubt.LOOP)
    assert best_answer([first, loop]) is first


def test_a_loop_that_is_kept_is_cut() -> None:
    hypothesis = to_hypothesis(TWO_SECONDS, answer("a b c " * 6, doubt=Doubt.LOOP), 30.0)
    assert hypothesis.text == "a b c"
    assert hypothesis.compute_ms == 30.0


def test_the_mark_that_closes_the_prefix_is_left_out() -> None:
    request = evolve(TWO_SECONDS, prefix_text="Well")
    assert to_hypothesis(request, answer(", it was"), 1.0).text == "it was"
    assert to_hypothesis(TWO_SECONDS, answer("- it was"), 1.0).text == "- it was"


def test_no_audio_has_no_words() -> None:
    empty = DecodeRequest(samples=np.zeros(0, dtype=np.float32))
    assert to_hypothesis(empty, answer("you"), 1.0).words == ()


def test_times_shift_with_the_audio() -> None:
    assert [word.start_s for word in answer("a b").shifted(1.0).words] == [1.0, 1.1]


def test_a_loop_that_goes_on_from_the_prefix_is_cut() -> None:
    behind = evolve(TWO_SECONDS, prefix_text="well of the well, of the")
    assert to_hypothesis(behind, answer("well of the well of the"), 1.0).text == ""
    looped = evolve(TWO_SECONDS, prefix_text="of the well of the well of the well of the well")
    assert to_hypothesis(looped, answer("of the well"), 1.0).text == ""


def test_what_follows_a_loop_is_kept() -> None:
    behind = evolve(TWO_SECONDS, prefix_text="I want to, I want to,")
    assert to_hypothesis(behind, answer("I want to go home"), 1.0).text == "go home"
    many = evolve(TWO_SECONDS, prefix_text="no no no no")
    assert to_hypothesis(many, answer("no no no no stop"), 1.0).text == "stop"


def test_what_does_not_go_on_with_a_loop_in_the_prefix_is_kept() -> None:
    behind = evolve(TWO_SECONDS, prefix_text="no no no no no no no no wait")
    assert to_hypothesis(behind, answer("what is that"), 1.0).text == "what is that"
