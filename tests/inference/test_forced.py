"""The likeliest way through a CTC model's answer."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.aligning.forced import Span, force_align

BLANK = 0


def answer(*symbols: int, n_symbols: int = 4) -> npt.NDArray[np.float32]:
    """Frames in which one symbol is likely and all others are not."""
    log_probs = np.full((len(symbols), n_symbols), -5.0, dtype=np.float32)
    log_probs[np.arange(len(symbols)), symbols] = -0.1
    return log_probs


def test_tokens_are_found_where_they_are_likely() -> None:
    spans = force_align(answer(0, 1, 1, 0, 2, 0), [1, 2], BLANK)
    assert spans is not None
    assert [(span.start, span.end) for span in spans] == [(1, 3), (4, 5)]
    assert spans[0].score == pytest.approx(-0.1)


def test_a_repeated_token_needs_a_blank_between() -> None:
    spans = force_align(answer(1, 0, 1), [1, 1], BLANK)
    assert spans == [Span(0, 1, pytest.approx(-0.1)), Span(2, 3, pytest.approx(-0.1))]
    assert force_align(answer(1, 1), [1, 1], BLANK) is None


def test_what_does_not_fit_is_not_aligned() -> None:
    assert force_align(answer(1, 2), [1, 2, 3], BLANK) is None
    assert force_align(answer(1, 2), [], BLANK) is None
    assert force_align(np.empty((0, 4), dtype=np.float32), [1], BLANK) is None


def by_trying_all(log_probs: npt.NDArray[np.float32], tokens: list[int]) -> float:
    """The score of the best way, by looking at every way there is."""

    def collapsed(way: tuple[int, ...]) -> list[int]:
        kept = [s for i, s in enumerate(way) if i == 0 or way[i - 1] != s]
        return [symbol for symbol in kept if symbol != BLANK]

    ways = product(range(log_probs.shape[1]), repeat=len(log_probs))
    return max(
        sum(float(log_probs[i, symbol]) for i, symbol in enumerate(way))
        for way in ways
        if collapsed(way) == tokens
    )


@given(
    scores=st.lists(
        st.lists(st.floats(-9, 0, width=32), min_size=3, max_size=3), min_size=3, max_size=6
    ),
    tokens=st.lists(st.integers(1, 2), min_size=1, max_size=3),
)
def test_no_other_way_is_likelier(scores: list[list[float]], tokens: list[int]) -> None:
    log_probs = np.array(scores, dtype=np.float32)
    spans = force_align(log_probs, tokens, BLANK)
    if spans is None:
        assert len(log_probs) < 2 * len(tokens)
        return
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(log_probs)]
    assert edges == sorted(edges)
    # What it chose, filled up with blanks between the tokens.
    total = sum(span.score * (span.end - span.start) for span in spans)
    covered = {frame for span in spans for frame in range(span.start, span.end)}
    total += sum(float(log_probs[i, BLANK]) for i in range(len(log_probs)) if i not in covered)
    assert total == pytest.approx(by_trying_all(log_probs, tokens), abs=1e-3)
