"""A trace finds when a sample was sent."""

from __future__ import annotations

import pytest
from attrs import evolve


def test_a_position_is_sent_with_the_frame_that_holds_its_last_sample(make_trace):
    trace = make_trace()
    assert trace.sent_at_s(0) == pytest.approx(0.1)
    assert trace.sent_at_s(100) == pytest.approx(0.1)
    assert trace.sent_at_s(101) == pytest.approx(0.2)
    assert trace.sent_at_s(1000) == pytest.approx(1.0)


def test_a_position_beyond_the_end_by_rounding_is_the_end(make_trace):
    assert make_trace().sent_at_s(1001) == pytest.approx(1.0)


def test_nothing_sent_is_an_error(make_trace):
    with pytest.raises(ValueError, match="no audio was sent"):
        evolve(make_trace(), sent=()).sent_at_s(0)


def test_text_joins_what_was_heard(make_trace, transcription):
    trace = make_trace(
        (0.5, transcription(" Hello ", start_ms=0, duration_ms=400)),
        (0.6, transcription("", start_ms=400, duration_ms=0)),
        (1.2, transcription("world.", start_ms=400, duration_ms=600)),
    )
    assert trace.text == "Hello world."
