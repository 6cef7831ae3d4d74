"""Each promise that is broken is one line; a session that keeps them has none."""

from __future__ import annotations

import pytest

from tools.session_checks import accounting_faults, error_faults, order_faults, word_faults


def ended(**audio):
    figures = {
        "received_ms": 1000,
        "transcribed_ms": 700,
        "silence_ms": 300,
        "discarded_ms": 0,
        "unsettled_ms": 0,
    }
    return 1.5, {"type": "session_ended", "audio": figures | audio}


def started(**config):
    return 0.0, {"type": "session_started", "config": config}


@pytest.fixture
def words_trace(make_trace, transcription):
    """A trace whose one transcription has its first word changed."""

    def make(**changes):
        message = transcription("Hello world", start_ms=100, duration_ms=800)
        message["data"]["timestamps"][0] |= changes
        return make_trace(started(), (1.2, message))

    return make


def test_exact_accounting_passes(make_trace):
    assert accounting_faults(make_trace(ended())) == []


def test_rounding_is_no_fault(make_trace):
    assert accounting_faults(make_trace(ended(received_ms=1001))) == []


@pytest.mark.parametrize(
    ("audio", "line"),
    [
        ({"received_ms": 900, "silence_ms": 200}, "sent 1000 ms, received 900 ms"),
        (
            {"silence_ms": 200},
            "received 1000 ms is not 700 transcribed + 200 silence + 0 discarded + 0 unsettled",
        ),
        ({"silence_ms": 200, "unsettled_ms": 100}, "100 ms left unsettled"),
    ],
)
def test_audio_that_is_missing(make_trace, audio, line):
    assert accounting_faults(make_trace(ended(**audio))) == [f"accounting: {line}"]


def test_no_end_is_a_fault(make_trace):
    assert accounting_faults(make_trace()) == ["accounting: no session_ended"]


def test_an_end_without_figures_is_a_fault(make_trace):
    (fault,) = accounting_faults(make_trace((1.0, {"type": "session_ended", "audio": {}})))
    assert fault == "accounting: session_ended.audio is {}"


def test_order_passes(make_trace, transcription):
    first = transcription("a", start_ms=0, duration_ms=400)
    second = transcription("b", start_ms=400, duration_ms=400)
    assert order_faults(make_trace((0.5, first), (0.9, second))) == []


def test_a_gap_in_seq_is_a_fault(make_trace):
    metadata = {"seq": 3, "audio_committed_ms": 0}
    trace = make_trace(started(), (1.0, {"type": "pong", "metadata": metadata}))
    assert order_faults(trace) == ["order: seq runs 1, 3"]


def test_messages_outside_a_session_have_no_place_in_the_order(make_trace):
    metadata = {"seq": None, "audio_committed_ms": None}
    assert order_faults(make_trace((0.0, {"type": "pong", "metadata": metadata}))) == []


def test_committed_that_falls_is_a_fault(make_trace):
    def pong(seq, committed_ms):
        metadata = {"seq": seq, "audio_committed_ms": committed_ms}
        return 0.1 * seq, {"type": "pong", "metadata": metadata}

    trace = make_trace(pong(1, 500), pong(2, 400))
    assert order_faults(trace) == ["order: audio_committed_ms falls: 500, 400"]


def test_segments_that_overlap_are_a_fault(make_trace, transcription):
    first = transcription("a", start_ms=0, duration_ms=500)
    second = transcription("b", start_ms=400, duration_ms=400)
    assert order_faults(make_trace((0.5, first), (0.9, second))) == [
        "order: segment from 400 ms begins before the last one's end, 500 ms"
    ]


def test_sound_words_pass(words_trace):
    assert word_faults(words_trace()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"start_ms": 500}, "'Hello' 500-500 ms has no duration"),
        ({"start_ms": 90}, "'Hello' 90-500 ms outside its segment 100-900 ms"),
        ({"end_ms": 950}, "'Hello' 100-950 ms outside its segment 100-900 ms"),
        ({"start_ms": 600, "end_ms": 700}, "'world' 500-900 ms begins before the word before it"),
        ({"confidence": 1.2}, "'Hello' 100-500 ms has confidence 1.2"),
        ({"word": "Hallo"}, "text 'Hello world' but times for 'Hallo world'"),
    ],
)
def test_unsound_words(words_trace, changes, line):
    (fault,) = word_faults(words_trace(**changes))
    assert fault.startswith(f"words: {line}")


def test_missing_times_are_a_fault_where_they_were_asked_for(make_trace, transcription):
    message = transcription("Hello", start_ms=100, duration_ms=800)
    del message["data"]["timestamps"]
    trace = make_trace(started(enable_timestamps=True), (1.0, message))
    assert word_faults(trace) == ["words: no timestamps in the segment from 100 ms"]
    assert word_faults(make_trace(started(enable_timestamps=False), (1.0, message))) == []


def test_errors_are_told_in_the_server_s_words(make_trace):
    error = {"code": "transcription_timeout", "message": "a segment was skipped"}
    trace = make_trace((0.7, {"type": "error", "error": error}))
    assert error_faults(trace) == ["error transcription_timeout: a segment was skipped"]
