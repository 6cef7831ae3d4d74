"""Figures of one file, their sums, the table and the JSON."""

from __future__ import annotations

import json

import pytest

from tools.outcome import Outcome, failed_outcome, outcome_of, segment_latencies_ms
from tools.report import as_json, percentiles, table, totals
from tools.scoring import WordErrors


@pytest.fixture
def good_trace(make_trace, transcription):
    audio = {
        "received_ms": 1000,
        "transcribed_ms": 1000,
        "silence_ms": 0,
        "discarded_ms": 0,
        "unsettled_ms": 0,
    }
    return make_trace(
        (0.0, {"type": "session_started", "config": {}}),
        (0.9, transcription("hello", start_ms=0, duration_ms=500)),
        (1.25, transcription("world", start_ms=500, duration_ms=500)),
        (1.3, {"type": "session_ended", "audio": audio, "real_time_factor": 0.2}),
    )


def test_latency_runs_from_the_last_sample_of_a_segment(good_trace):
    assert segment_latencies_ms(good_trace) == pytest.approx([400, 250])


def test_a_flush_without_text_has_no_latency(make_trace, transcription):
    trace = make_trace((0.9, transcription("", start_ms=0, duration_ms=0)))
    assert segment_latencies_ms(trace) == ()


def test_a_good_session(good_trace):
    outcome = outcome_of("a.wav", good_trace, reference="Hello, word!")
    assert outcome.faults == ()
    assert outcome.text == "hello world"
    assert outcome.errors == WordErrors(1, 0, 0, 2)
    assert outcome.server_latencies_ms == (200.0, 200.0)
    assert outcome.processing_ms == (120.0, 120.0)
    assert outcome.real_time_factor == 0.2
    assert outcome.wall_s == 1.5


def test_a_session_that_failed_is_judged_by_its_failure_alone(make_trace):
    outcome = outcome_of("a.wav", make_trace(failure="closed with 1011"), reference="hello")
    assert outcome.faults == ("closed with 1011",)
    assert outcome.errors == WordErrors(0, 1, 0, 1)


def test_words_where_nobody_spoke_are_counted_apart(good_trace):
    outcome = outcome_of("noise.wav", good_trace, reference=None, is_speech=False)
    assert outcome.errors is None
    assert outcome.invented_words == 2
    assert totals([outcome]).invented_words == 2
    assert "2 words heard in 1 files without speech" in table([outcome])


def test_percentiles():
    assert percentiles([]).p50 is None
    figures = percentiles(range(101))
    assert (figures.p50, figures.p95, figures.count) == (50.0, 95.0, 101)


def test_totals_pool_segments_and_words():
    outcomes = [
        Outcome("a", 1000.0, errors=WordErrors(1, 0, 0, 1), latencies_ms=(100.0, 300.0)),
        Outcome("b", 2000.0, errors=WordErrors(0, 0, 0, 9), latencies_ms=(200.0,)),
        failed_outcome("c", "c: no such file"),
    ]
    summed = totals(outcomes)
    assert summed.errors is not None
    assert summed.errors.wer == pytest.approx(0.1)
    assert summed.latency_ms.p50 == 200.0
    assert (summed.files, summed.failed, summed.audio_s) == (3, 1, 3.0)


def test_table(good_trace):
    outcomes = [
        outcome_of("a.wav", good_trace, reference="hello world"),
        failed_outcome("gone.wav", "gone.wav: no such file"),
    ]
    lines = table(outcomes).splitlines()
    assert " ".join(lines[1].split()) == "a.wav 1.00 0.0 325 392 200 200 120 0.20 ok"
    assert " ".join(lines[2].split()) == "gone.wav 0.00 - - - - - - - FAILED"
    assert lines[3] == "! gone.wav: gone.wav: no such file"
    assert lines[4] == "2 files, 1.0 s of audio, 1 failed"
    assert lines[5].startswith("WER 0.00 % of 2 words")
    assert lines[6] == "latency, last sample sent to text: p50 325 ms, p95 392 ms (2 segments)"


def test_table_tells_of_a_sender_that_fell_behind():
    assert "by up to 150 ms" in table([Outcome("a", 1000.0, lag_ms=150.0)])
    assert "behind" not in table([Outcome("a", 1000.0, lag_ms=50.0)])


def test_json_has_the_figures_and_the_messages(good_trace):
    outcomes = [
        outcome_of("a.wav", good_trace, reference="hello world"),
        failed_outcome("gone.wav", "no such file"),
    ]
    made = json.loads(json.dumps(as_json(outcomes)))
    assert made["totals"]["wer"] == 0.0
    assert made["totals"]["latency_ms"]["count"] == 2
    assert made["totals"]["failed"] == 1
    first, second = made["files"]
    assert [entry["message"]["type"] for entry in first["messages"]] == [
        "session_started",
        "transcription",
        "transcription",
        "session_ended",
    ]
    assert second["faults"] == ["no such file"]
    assert second["messages"] == []
