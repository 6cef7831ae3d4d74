"""The context of the next request: gapless, recent, and never more than is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.conversation.recent import CONTEXT_SAMPLES, RecentWords
from fasttalk_stt.conversation.segments import HeardWord


def word(at: int) -> HeardWord:
    return HeardWord(f" {at}", at, at + 100, 0.9)


def test_words_of_adjacent_stretches_add_up() -> None:
    recent = RecentWords()
    recent.add(0, 1_000, [word(0), word(500)])
    recent.add(1_000, 2_000, [])
    recent.add(2_000, 3_000, [word(2_500)])
    assert recent.before(3_000, earliest=400) == [word(500), word(2_500)]


def test_nothing_is_context_while_what_lies_between_is_unknown() -> None:
    recent = RecentWords()
    recent.add(0, 1_000, [word(0)])
    assert recent.before(1_001, earliest=0) == []
    recent.add(2_000, 3_000, [word(2_000)])
    assert recent.before(3_000, earliest=0) == [word(2_000)]


def test_a_late_answer_closes_the_gap() -> None:
    recent = RecentWords()
    recent.add(0, 1_000, [word(0)])
    recent.add(2_000, 3_000, [])
    recent.add(1_000, 2_000, [word(1_000)])
    assert recent.before(3_000, earliest=0) == [word(0), word(1_000)]


@given(st.permutations(range(30)), st.integers(1, 30))
def test_any_order_of_answers_gives_a_gapless_and_recent_context(
    order: list[int], n_known: int
) -> None:
    recent = RecentWords()
    size = CONTEXT_SAMPLES // 10
    for i in order[:n_known]:
        recent.add(i * size, (i + 1) * size, [word(i * size)])
    newest = max(order[:n_known])
    known = recent.before((newest + 1) * size, earliest=(newest - 9) * size)
    expected = []
    while newest in order[:n_known] and len(expected) < 10:
        expected.insert(0, word(newest * size))
        newest -= 1
    assert known == expected
