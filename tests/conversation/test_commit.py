"""What of a draft is committed, and where the audio is cut for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.conversation.commit import (
    FIGURES_HELD_SAMPLES,
    committable,
    cut_after,
    whole_words,
)
from fasttalk_stt.conversation.segments import Heard, HeardWord

MS = 16


def words(*ends_ms: int) -> list[HeardWord]:
    starts = [0, *ends_ms]
    return [
        HeardWord(" w", start * MS, end * MS, 0.9)
        for start, end in zip(starts, ends_ms, strict=False)
    ]


@pytest.mark.parametrize(
    ("ends_ms", "edge_ms", "expected"),
    [
        ((400, 900, 1000, 1900), 2000, 3),
        ((400, 900, 1001), 2000, 2),
        ((1900,), 2000, 0),
        ((), 2000, 0),
        ((9_800, 9_900, 10_000), 10_000, 2),  # waited too long: all but the last
        ((10_000,), 10_000, 0),
    ],
)
def test_words_are_committed_that_end_well_before_the_edge(
    ends_ms: tuple[int, ...], edge_ms: int, expected: int
) -> None:
    heard = words(*ends_ms)
    assert committable(heard, start=0, edge=edge_ms * MS) == expected


def said(text: str) -> list[HeardWord]:
    return [
        HeardWord(f" {word}", i * 4_000, (i + 1) * 4_000, 0.9)
        for i, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("my code is 8 6 0", 3), ("is it 8 or 9 then", 6), ("8 6 0 9", 0), ("room 12 is", 3)],
)
def test_a_number_that_is_read_out_is_not_cut_in_two(text: str, expected: int) -> None:
    now = said(text)
    assert committable(now, start=0, edge=now[-1].end + 16_000) == expected


def test_a_number_is_cut_once_its_audio_has_waited_too_long() -> None:
    code = said("my code is 8 6 0 9")
    assert committable(code, start=0, edge=FIGURES_HELD_SAMPLES - 1) == 3
    assert committable(code, start=0, edge=FIGURES_HELD_SAMPLES) == 7


def test_the_cut_lies_between_two_words() -> None:
    heard = [HeardWord(" a", 0, 4_000, 0.9), HeardWord(" b", 6_000, 9_000, 0.9)]
    assert cut_after(heard, 1, edge=16_000) == 5_000
    assert cut_after(heard, 2, edge=16_000) == 9_000
    assert cut_after(heard, 2, edge=8_000) == 8_000


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=12), st.data())
def test_a_cut_never_goes_back_behind_a_committed_word(
    steps_ms: list[int], data: st.DataObject
) -> None:
    ends = [sum(steps_ms[: i + 1]) for i in range(len(steps_ms))]
    heard = words(*ends)
    n_words = data.draw(st.integers(1, len(heard)))
    cut = cut_after(heard, n_words, edge=ends[-1] * MS)
    assert cut >= heard[n_words - 1].end
    assert n_words == len(heard) or cut <= heard[n_words].start


def test_a_drain_leaves_the_last_word_if_the_edge_may_have_cut_it() -> None:
    heard = Heard(tuple(words(400, 1_000)))
    kept, end = whole_words(heard, start=0, edge=1_200 * MS)
    assert (len(kept.words), end) == (1, 400 * MS)
    assert whole_words(heard, start=0, edge=1_700 * MS) == (heard, 1_700 * MS)
    assert whole_words(Heard(tuple(words(1_000))), start=0, edge=1_000 * MS)[1] == 0
