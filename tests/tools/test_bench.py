"""Figures of many streams, from traces made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tools.bench import main
from tools.benching.streams import (
    Spoken,
    Talk,
    closed_to_text_ms,
    figures,
    jain,
    lags_ms,
    text_times_ms,
)
from tools.trace import Arrival, SentFrame, SessionTrace

SILENCE_MS = 500


def trace_of(*arrivals: tuple[float, dict[str, Any]], seconds: float = 10.0) -> SessionTrace:
    """A session that sent a second of audio a second from 100 s on, in frames of 100 ms."""
    sent = tuple(
        SentFrame(at_s=100 + (i + 1) / 10, end_sample=(i + 1) * 1_600)
        for i in range(int(seconds * 10))
    )
    return SessionTrace(
        rate_hz=16_000,
        duration_ms=seconds * 1000,
        sent=sent,
        arrivals=tuple(Arrival(at_s, message) for at_s, message in arrivals),
        began_at_s=100.0,
        ended_at_s=100 + seconds,
        lag_ms=3.0,
        failure=None,
    )


def ended(utterance: int, end_ms: int) -> dict[str, Any]:
    return {"type": "speech_ended", "data": {"utterance": utterance, "audio_end_ms": end_ms}}


def final(
    utterance: int, committed_ms: int, reason: str = "speech_end", text: str = "yes"
) -> dict[str, Any]:
    data = {"utterance": utterance, "text": text, "metadata": {"reason": reason}}
    return {
        "type": "transcription",
        "data": data,
        "metadata": {"audio_committed_ms": committed_ms},
    }


def test_closed_to_text_runs_from_the_endpoint_to_the_arrival() -> None:
    trace = trace_of(
        (102.6, ended(1, 2_000)),
        (102.6, final(1, 2_300)),
        (105.75, ended(2, 5_000)),
        (105.75, final(2, 5_300)),
        (109.9, ended(3, 9_800)),  # its endpoint would lie behind the end
        (109.9, final(3, 10_000)),
    )
    assert list(closed_to_text_ms(trace, SILENCE_MS, 0.0)) == pytest.approx([100, 250])
    assert list(closed_to_text_ms(trace, SILENCE_MS, 4.0)) == pytest.approx([250])


def test_text_that_was_committed_before_the_endpoint_does_not_count() -> None:
    trace = trace_of((102.0, final(1, 1_500, "buffer_full")), (102.6, ended(1, 2_000)))
    assert list(closed_to_text_ms(trace, SILENCE_MS, 0.0)) == []


def onset(utterance: int, start_ms: int) -> dict[str, Any]:
    data = {"utterance": utterance, "audio_start_ms": start_ms}
    return {"type": "voice_activity_detected", "data": data}


def test_lag_is_what_was_sent_of_an_open_utterance_and_has_no_outcome() -> None:
    trace = trace_of(
        (100.45, onset(1, 200)),
        (102.05, final(1, 1_000, "buffer_full")),
        (103.05, final(1, 3_000)),
        seconds=5.0,
    )
    # From 0.6 s on twice a second; before and after the utterance there is none.
    assert list(lags_ms(trace, 0.0)) == pytest.approx([400, 900, 1_400, 1_100, 1_600])


def test_lag_is_that_of_the_oldest_utterance_that_waits() -> None:
    trace = trace_of(
        (100.45, onset(1, 200)),
        (101.45, onset(2, 1_300)),
        (102.45, final(1, 1_200)),
        seconds=3.0,
    )
    assert list(lags_ms(trace, 0.0)) == pytest.approx([400, 900, 1_400, 1_900, 1_300])


def test_first_text_and_the_time_from_text_to_text() -> None:
    partial = {"type": "partial_transcription", "data": {"utterance": 1}}
    trace = trace_of((100.5, onset(1, 200)), (100.8, partial), (101.6, final(1, 1_000)))
    first, steps = text_times_ms(trace, 0.0)
    # The sample at 0.2 s was sent with the frame that ended there.
    assert first == pytest.approx([600])
    assert steps == pytest.approx([800])
    assert text_times_ms(trace, 0.5) == ([], [])


def test_fairness_is_one_where_all_are_equal() -> None:
    assert jain([3.0, 3.0, 3.0]) == 1.0
    assert jain([1.0, 0.0, 0.0, 0.0]) == 0.25
    assert jain([]) is None


def test_figures_pool_all_streams_and_name_who_was_refused() -> None:
    trace = trace_of((102.6, ended(1, 2_000)), (102.6, final(1, 2_300)))
    found = figures(
        [Spoken(trace), Spoken(None, "HTTP 503")], endpoint_silence_ms=SILENCE_MS, skip_s=0.0
    )
    assert found["closed_to_text_ms"]["p50"] == pytest.approx(100)
    assert found["refused"] == ["HTTP 503"]


def test_each_client_begins_at_another_place() -> None:
    said = Talk(np.arange(16_000 * 4, dtype=np.float32), 1.0)
    parts = [said.part(number, 3, 2.0).samples for number in range(3)]
    assert [part[0] for part in parts] == [0, 16_000, 32_000]
    assert {len(part) for part in parts} == {32_000}
    with pytest.raises(ValueError, match="only 4 s"):
        said.part(0, 1, 5.0)


def test_without_a_corpus_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPEECH_CORPUS", raising=False)
    assert main([]) == 2
    assert "SPEECH_CORPUS" in capsys.readouterr().err
