"""Figures read out one by one, and the times of the number they become."""

from __future__ import annotations

import pytest

from fasttalk_stt.conversation.figures import joined_figures, with_numbers
from fasttalk_stt.conversation.segments import Heard, HeardWord


def words(text: str) -> tuple[HeardWord, ...]:
    return tuple(
        HeardWord(f" {word}", i * 100, i * 100 + 80, 0.5 + 0.1 * (i % 2), mark_confidence=0.1 * i)
        for i, word in enumerate(text.split())
    )


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("Call 8 6 0 9 now", "Call 8609 now"),
        ("Call 8, 6, 0, 9, now", "Call 8609, now"),
        ("8-6-0-9.", "8609."),
        ("6-4, 7-5", "6-4, 7-5"),
        ("pages 1-2, 3-4", "pages 1-2, 3-4"),
        ("options 1, 2, 3, 4", "options 1, 2, 3, 4"),
        ("3-2-1-0", "3-2-1-0"),
        ("0 4 7 1. 3 7 1 9.", "0471. 3719."),
        ("6. 6. 1. 9.", "6. 6. 1. 9."),
        ("testing 1, 2, 3", "testing 1, 2, 3"),
        ("for 2 3 year olds", "for 2 3 year olds"),
        ("from 10 20 30 to 5", "from 10 20 30 to 5"),
        ("It costs $4 5 6 7", "It costs $4 5 6 7"),
        ("", ""),
    ],
)
def test_four_or_more_single_figures_are_one_number(spoken: str, written: str) -> None:
    heard = Heard(words(spoken), language="en")
    once = with_numbers(heard)
    assert once.text == written
    assert with_numbers(once) == once


def test_the_number_has_the_times_of_all_its_figures() -> None:
    [call, number, now] = joined_figures(words("Call 8 6 0 9. now"))
    assert (number.start, number.end) == (100, 480)
    assert number.confidence == pytest.approx(0.55)
    assert number.mark_confidence == pytest.approx(0.4)
    assert (call, now) == (words("Call")[0], words("Call 8 6 0 9. now")[-1])
