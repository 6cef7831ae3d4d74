"""How often a request is asked, and with how much context."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from fasttalk_stt.inference.attempts import SHORT_S, Attempt, make_ladder
from fasttalk_stt.inference.decoding import FULL_CONTEXT_FRAMES, DecodingOptions
from fasttalk_stt.inference.doubts import Doubt
from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodeRequest

LADDER = make_ladder()


def request(seconds: float, *, prefix_s: float = 0.0) -> DecodeRequest:
    samples = np.zeros(int(seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    return DecodeRequest(samples=samples, prefix_s=prefix_s)


@pytest.mark.parametrize(
    ("n_frames", "context"),
    [(0, 1000), (200, 1000), (600, 1000), (601, 1100), (2550, 3000), (3000, 3000)],
)
def test_the_encoder_sees_the_speech_and_a_margin_but_no_less_than_the_shortest_context(
    n_frames: int, context: int
) -> None:
    attempt = Attempt(margin_s=4.0, shortest_s=10.0, options=DecodingOptions())
    assert attempt.context_frames(n_frames) == context
    assert LADDER.full.context_frames(n_frames) == FULL_CONTEXT_FRAMES


def test_short_requests_begin_with_the_cheapest() -> None:
    assert LADDER.first([request(1), request(SHORT_S)], language_is_told=True) is LADDER.close
    # The prefix is not decoded again.
    behind_prefix = request(SHORT_S + 5, prefix_s=6)
    assert LADDER.first([behind_prefix], language_is_told=True) is LADDER.close


def test_the_most_demanding_request_decides_for_its_batch() -> None:
    long = request(SHORT_S + 0.1)
    assert LADDER.first([request(1), long], language_is_told=True) is LADDER.near
    assert LADDER.first([request(1)], language_is_told=False) is LADDER.near
    named = evolve(request(1), vocabulary=("Kubernetes",))
    assert LADDER.first([request(1), named], language_is_told=True) is LADDER.full


def climb(first: Attempt, *doubts: Doubt, prefix_text: str = "") -> list[Attempt]:
    """All attempts, should they leave these doubts, and the last of them for ever."""
    attempts: list[Attempt] = [first]
    asked = evolve(request(2), prefix_text=prefix_text)
    is_spent = False
    while len(attempts) < 10:
        doubt = doubts[min(len(attempts), len(doubts)) - 1]
        following = LADDER.after(attempts[-1], doubt, asked, is_spent=is_spent)
        if following is None:
            return attempts
        is_spent = is_spent or doubt is not Doubt.LOOP
        attempts.append(following)
    return attempts


def test_a_loop_climbs_to_the_end() -> None:
    close, near, full, sampled = LADDER.close, LADDER.near, LADDER.full, LADDER.sampled
    assert climb(close, Doubt.LOOP) == [close, LADDER.stamped, full, sampled]
    assert climb(close, Doubt.LOOP, prefix_text="so") == [close, near, full, sampled]
    assert climb(near, Doubt.LOOP) == [near, full, sampled]
    assert sampled.options.temperature > 0


@pytest.mark.parametrize("doubt", [Doubt.TWICE, Doubt.STOPS_SHORT])
def test_time_stamps_and_then_more_context_shall_settle_a_doubt(doubt: Doubt) -> None:
    assert climb(LADDER.close, doubt) == [LADDER.close, LADDER.stamped, LADDER.near]


def test_what_is_spoken_indistinctly_is_asked_once_more() -> None:
    assert climb(LADDER.close, Doubt.UNLIKELY) == [LADDER.close, LADDER.stamped]
    behind_prefix = climb(LADDER.close, Doubt.UNLIKELY, prefix_text="so")
    assert behind_prefix == [LADDER.close, LADDER.near]


@pytest.mark.parametrize("doubt", [Doubt.UNLIKELY, Doubt.TWICE, Doubt.ECHO])
def test_behind_a_prefix_more_context_is_asked_for_once(doubt: Doubt) -> None:
    assert climb(LADDER.close, doubt, prefix_text="so") == [LADDER.close, LADDER.near]


def test_what_still_stops_short_behind_a_prefix_gets_all_the_context() -> None:
    seen = climb(LADDER.close, Doubt.STOPS_SHORT, prefix_text="so")
    assert seen == [LADDER.close, LADDER.near, LADDER.full]


@pytest.mark.parametrize("doubt", [Doubt.UNLIKELY, Doubt.TWICE, Doubt.STOPS_SHORT])
def test_there_is_no_more_than_the_full_context(doubt: Doubt) -> None:
    assert climb(LADDER.near, doubt) == [LADDER.near, LADDER.full]
    assert climb(LADDER.full, doubt) == [LADDER.full]


def test_an_echo_of_the_full_context_is_asked_again_without_its_prefix() -> None:
    assert climb(LADDER.full, Doubt.ECHO, prefix_text="so") == [LADDER.full, LADDER.full]


@pytest.mark.parametrize("doubt", [Doubt.ECHO, Doubt.STOPS_SHORT, Doubt.UNLIKELY])
def test_behind_a_loop_another_doubt_has_its_attempt(doubt: Doubt) -> None:
    seen = climb(LADDER.close, Doubt.LOOP, doubt, prefix_text="so")
    assert seen == [LADDER.close, LADDER.near, LADDER.full]


def test_time_stamps_are_asked_for_of_the_same_encoding() -> None:
    assert LADDER.stamped.sees_as_much_as(LADDER.close)
    assert LADDER.stamped.options.with_timestamps
    assert not LADDER.full.sees_as_much_as(LADDER.near)


def test_a_beam_can_be_set_for_all() -> None:
    greedy = make_ladder(beam_size=1)
    rungs = (greedy.close, greedy.near, greedy.full)
    assert [rung.options.beam_size for rung in rungs] == [1, 1, 1]
