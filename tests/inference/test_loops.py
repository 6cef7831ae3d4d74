"""Loops are found, speech that repeats itself a little is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.loops import (
    compression_ratio,
    find_repetition,
    is_loop,
    says_phrase_twice,
    token_limit,
)

plain_words = st.lists(
    st.text(alphabet="abcdefgh", min_size=1, max_size=4), min_size=1, max_size=8, unique=True
)


@pytest.mark.parametrize(
    "text",
    [
        "It was the best. It was the best. It was the best. It was the best.",
        "no " * 12,
        "thank you " * 6,
        "a b c a b c a b c",
    ],
)
def test_loops(text: str) -> None:
    assert is_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No no no no!",
        "very very very good",
        "zero zero seven zero zero seven",
        "bye bye, bye bye, bye bye",
        "The quick brown fox jumps over the lazy dog.",
    ],
)
def test_speech(text: str) -> None:
    assert not is_loop(text)


@given(plain_words, st.integers(9, 15))
def test_any_phrase_repeated_often_is_cut_to_its_first(phrase: list[str], times: int) -> None:
    assert find_repetition(phrase * times) == len(phrase)


@given(plain_words)
def test_words_that_differ_are_no_repetition(words: list[str]) -> None:
    assert find_repetition(words) is None


def test_cut_keeps_what_came_before() -> None:
    words = ["Well,", "it", "was", "fun,", *(["it", "was", "fun,"] * 4)]
    assert find_repetition(words) == 4
    assert find_repetition(["so", *(["-"] * 20)]) is None


def test_compression_ratio() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("hello") < 1 < compression_ratio("hello " * 20)


def test_token_limit_grows_with_the_audio_and_the_script() -> None:
    assert token_limit(2.0, "en") == 28
    assert token_limit(0.0, "en") > 0
    assert token_limit(2.0, "hi") > token_limit(2.0, "en")
    assert token_limit(2.0, "en", is_tight=True) == 20
    assert token_limit(2.0, "hi", is_tight=True) == token_limit(2.0, "hi")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ten of clubs, ten of clubs.", True),
        ("six four seven six four seven six", True),
        ("computer computer", True),
        ("", False),
        ("no", False),
        ("no no no", False),
        ("very very good", False),
        ("ten of clubs and ten of hearts", False),
        ("- - - -", False),
    ],
)
def test_a_phrase_said_twice_is_seen(text: str, *, expected: bool) -> None:
    assert says_phrase_twice(text.split()) is expected


@given(plain_words.filter(lambda phrase: len(phrase) > 1))
def test_any_phrase_said_twice_is_seen(phrase: list[str]) -> None:
    assert says_phrase_twice([*phrase, *phrase])
    assert not says_phrase_twice(phrase)
