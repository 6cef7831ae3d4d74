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


def climb(first: Attempt, doubt: Doubt) -> list[Attempt]:
    """All attempts, should the doubt remain."""
    attempts: list[Attempt] = [first]
    while len(attempts) < 10 and (following := LADDER.after(attempts[-1], doubt)) is not None:
        attempts.append(following)
    return attempts


def test_a_loop_climbs_to_the_end() -> None:
    to_the_end = [LADDER.full, LADDER.sampled]
    assert climb(LADDER.close, Doubt.LOOP) == [LADDER.close, LADDER.close_stamped, *to_the_end]
    assert climb(LADDER.near, Doubt.LOOP) == [LADDER.near, LADDER.near_stamped, *to_the_end]
    assert LADDER.sampled.options.temperature > 0


@pytest.mark.parametrize("doubt", [Doubt.TWICE, Doubt.STOPS_SHORT])
def test_time_stamps_and_then_the_full_context_shall_settle_a_doubt(doubt: Doubt) -> None:
    assert climb(LADDER.close, doubt) == [LADDER.close, LADDER.close_stamped, LADDER.full]
    assert climb(LADDER.near, doubt) == [LADDER.near, LADDER.near_stamped, LADDER.full]


def test_what_is_spoken_indistinctly_is_asked_once_more() -> None:
    assert climb(LADDER.close, Doubt.UNLIKELY) == [LADDER.close, LADDER.close_stamped]
    assert climb(LADDER.near, Doubt.UNLIKELY) == [LADDER.near, LADDER.near_stamped]
    assert climb(LADDER.full, Doubt.UNLIKELY) == [LADDER.full]


def test_time_stamps_are_asked_for_of_the_same_encoding() -> None:
    assert LADDER.close_stamped.sees_as_much_as(LADDER.close)
    assert LADDER.near_stamped.sees_as_much_as(LADDER.near)
    assert not LADDER.full.sees_as_much_as(LADDER.near_stamped)
    stamped = (LADDER.close_stamped, LADDER.near_stamped)
    assert all(attempt.options.with_timestamps for attempt in stamped)


@pytest.mark.parametrize(
    ("attempt", "following"),
    [
        (LADDER.close, LADDER.near),
        (LADDER.close_stamped, LADDER.near),
        (LADDER.near, LADDER.full),
        (LADDER.near_stamped, LADDER.full),
        (LADDER.full, LADDER.full),
    ],
)
def test_an_echo_is_always_asked_again_with_more_context(
    attempt: Attempt, following: Attempt
) -> None:
    assert LADDER.after(attempt, Doubt.ECHO) is following


def test_a_beam_can_be_set_for_all() -> None:
    greedy = make_ladder(beam_size=1)
    rungs = (greedy.close, greedy.near, greedy.full)
    assert [rung.options.beam_size for rung in rungs] == [1, 1, 1]
