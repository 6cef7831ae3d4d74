"""Word times: from warping paths to promises kept."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.engine import DecodedWord
from fasttalk_stt.inference.word_times import (
    MINIMUM_WORD_S,
    TokenWord,
    join_pieces,
    merge_punctuation,
    regularise_word_times,
    timed_words,
)

any_time = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-1, 35)
words_lists = st.lists(
    st.builds(DecodedWord, st.text(min_size=1, max_size=5), any_time, any_time, any_time),
    max_size=60,
)


def word(
    text: str, start_s: float = 0.0, end_s: float = 0.1, confidence: float = 0.5
) -> DecodedWord:
    return DecodedWord(text=text, start_s=start_s, end_s=end_s, confidence=confidence)


@given(words_lists, st.floats(1e-4, 30.0))
def test_regular_times_keep_every_promise(words: list[DecodedWord], duration_s: float) -> None:
    regular = regularise_word_times(words, duration_s)
    assert [each.text for each in regular] == [each.text for each in words]
    now_s = 0.0
    for each in regular:
        assert now_s <= each.start_s < each.end_s
        assert 0.0 <= each.confidence <= 1.0
        now_s = each.end_s
    assert now_s <= duration_s + 1e-9


@given(words_lists, st.floats(2.0, 30.0))
def test_regular_words_have_their_shortest_length(
    words: list[DecodedWord], duration_s: float
) -> None:
    for each in regularise_word_times(words, duration_s):
        assert each.end_s - each.start_s >= MINIMUM_WORD_S - 1e-9


@given(words_lists, st.floats(0.1, 30.0))
def test_regular_times_stay_when_made_regular_again(
    words: list[DecodedWord], duration_s: float
) -> None:
    regular = regularise_word_times(words, duration_s)
    for once, twice in zip(regular, regularise_word_times(regular, duration_s), strict=True):
        assert twice.start_s == pytest.approx(once.start_s, abs=1e-9)
        assert twice.end_s == pytest.approx(once.end_s, abs=1e-9)


def test_good_times_are_not_touched() -> None:
    words = [word(" one", 0.2, 0.5), word(" two", 0.5, 0.8), word(" 3", 1.0, 1.4)]
    assert regularise_word_times(words, 2.0) == words


def test_times_past_the_end_are_pulled_back() -> None:
    [first, last] = regularise_word_times([word(" a", 0.5, 1.0), word(" b", 5.0, 6.0)], 2.0)
    assert (first.start_s, first.end_s) == (0.5, 1.0)
    assert last.end_s == 2.0
    assert last.end_s - last.start_s == pytest.approx(MINIMUM_WORD_S)


def test_words_without_audio_are_refused() -> None:
    with pytest.raises(ValueError, match="positive duration"):
        regularise_word_times([word(" a")], 0.0)
    assert regularise_word_times([], 0.0) == []


def test_times_come_from_where_the_path_reaches_each_token() -> None:
    # Tokens 0 1 | 2 and the end; positions are 20 ms each.
    path = [(0, 5), (0, 6), (1, 10), (1, 11), (2, 20), (2, 30), (3, 40)]
    [two_tokens, digit] = timed_words(
        [TokenWord(" hello", 2), TokenWord(" 5", 1)], path, [0.8, 0.6, 0.9]
    )
    assert (two_tokens.start_s, two_tokens.end_s) == (0.1, 0.4)
    assert (digit.start_s, digit.end_s) == (0.4, 0.8)
    assert two_tokens.confidence == pytest.approx(0.7)
    assert digit.confidence == pytest.approx(0.9)


def test_words_after_a_prefix_have_their_own_times() -> None:
    path = [(0, 5), (1, 10), (2, 20), (3, 40)]
    [after] = timed_words([TokenWord(" two", 1)], path, [0.1, 0.2, 0.9], n_prefix_tokens=2)
    assert (after.start_s, after.end_s, after.confidence) == (0.4, 0.8, 0.9)


def test_nothing_to_time() -> None:
    assert timed_words([], [(0, 0)], []) == []
    assert timed_words([TokenWord(" a", 1)], [], [0.5]) == []


def test_pieces_without_a_space_are_one_word() -> None:
    texts = [" $", "23", ".", "50", ".", " 5", "%", "?", " so", "...", " it", "'s"]
    joined = join_pieces([TokenWord(text, 1) for text in texts])
    assert [(each.text, each.n_tokens) for each in joined] == [
        (" $23.50", 4),
        (".", 1),
        (" 5%", 2),
        ("?", 1),
        (" so...", 2),
        (" it's", 2),
    ]
    assert join_pieces([]) == []


@pytest.mark.parametrize(
    ("texts", "merged"),
    [
        ([" Hello", ",", " you", "?"], [" Hello,", " you?"]),
        ([" It", " costs", " $", "5", "."], [" It", " costs", " $", "5."]),
        ([" (", "maybe", ")"], [" (maybe)"]),
        ([" so", " -"], [" so -"]),
        ([" -"], [" -"]),
        ([], []),
        (["。", "好"], ["。", "好"]),
    ],
)
def test_punctuation_joins_its_word(texts: list[str], merged: list[str]) -> None:
    assert [each.text for each in merge_punctuation([word(text) for text in texts])] == merged


@given(st.lists(st.sampled_from([" a", "b", ",", " (", ".", ' "', "?", " 5", "%"]), max_size=12))
def test_merging_keeps_the_text(texts: list[str]) -> None:
    merged = merge_punctuation([word(text) for text in texts])
    assert "".join(each.text for each in merged) == "".join(texts)
    assert not any(math.isnan(each.start_s) for each in merged)
