"""What is counted, kept for an hour and shown on the dashboard, without a server around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.protocol.codec import error_message
from fasttalk_stt.protocol.errors import ERROR_KINDS, RATE_LIMITED, ProtocolError
from fasttalk_stt.protocol.server_messages import (
    AudioAccount,
    InterruptAcknowledged,
    InterruptData,
    RejectionData,
    SegmentMetadata,
    SegmentReason,
    ServerMessage,
    Transcription,
    TranscriptionData,
    VoiceActivityData,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.service.history import INTERVAL_S, SERIES, STEPS, Moment
from fasttalk_stt.service.latencies import percentiles
from fasttalk_stt.service.observation import Observation, process_bytes
from fasttalk_stt.service.session_log import MOST_EVENTS, SessionLog
from fasttalk_stt.service.totals import Totals
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    RequestReport,
    SessionFigures,
    SessionInfo,
)

NOON_S = 1_705_320_000.0
FIGURES = SessionFigures(2.0, 0.05, AudioAccount(2_000, 1_200, 700, 100, 0))


def text(
    words: str = "hello there", latency_ms: float = 200.0, reason: SegmentReason = "speech_end"
) -> Transcription:
    return Transcription(
        TranscriptionData(
            utterance=1,
            text=words,
            processing_time_ms=40.0,
            audio_duration_ms=1_200,
            metadata=SegmentMetadata(
                duration=1.2,
                chunks_count=38,
                reason=reason,
                audio_start_ms=300,
                language="en",
                language_confidence=1.0,
                end_of_turn=True,
                model="fake",
                compute_ms=100.0,
                latency_ms=latency_ms,
            ),
        )
    )


ONSET = VoiceActivityDetected(
    VoiceActivityData(2, 0.9, 100, 0.5, True, "2024-01-15T12:00:00.000Z", 400, False, 0)
)
REJECTION = VoiceActivityRejected(RejectionData(2, 400, "backchannel", "mm-hm"))
INTERRUPTED = InterruptAcknowledged(InterruptData("2024-01-15T12:00:00.000Z", True, True, 3, 0))
LIMITED = error_message(ProtocolError(RATE_LIMITED, "too many"))


def say(told: ConnectionTelemetry, *messages: ServerMessage) -> None:
    for message in messages:
        told.message_sent(message, 100, 0.0002, since_speech_s=None)


class Clock:
    """Unix time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = NOON_S

    def __call__(self) -> float:
        return self.now_s


def begin(
    told: ConnectionTelemetry,
    session_id: str = "s",
    figures: Callable[[], SessionFigures] = lambda: FIGURES,
) -> None:
    told.session_started(SessionInfo(session_id, "talk", "u-1", "new"), figures)


def test_totals_count_every_message_by_its_label() -> None:
    totals = Totals()
    told = totals.connection("token", "token:me")
    begin(told)
    say(told, text(), text("one two three"), ONSET, REJECTION, INTERRUPTED, LIMITED)
    told.frame_received(2_048, 0.032)
    told.text_received(10)
    told.text_dropped()
    told.held_back(0.5)
    told.session_ended("s", "end_session", FIGURES)
    told.closed(1008)
    assert totals.transcriptions["speech_end"] == 2
    assert totals.words == 5
    assert (totals.onsets, totals.rejections["backchannel"]) == (1, 1)
    assert (totals.interrupts, totals.cancelled_segments) == (1, 3)
    assert totals.errors["rate_limited"] == 1
    assert totals.messages_sent["transcription"] == 2
    assert (totals.received_bytes, totals.sent_bytes) == (2_058, 600)
    assert totals.messages_over_rate == {"key": 0, "token": 1, "anonymous": 0}
    assert totals.held_back_s["token"] == 0.5
    assert totals.audio_by_outcome_s == {
        "transcribed": 1.2,
        "silence": 0.7,
        "discarded": 0.1,
        "unsettled": 0.0,
    }
    assert totals.closed["1008"] == 1


def test_totals_know_who_came_too_fast() -> None:
    totals = Totals()
    totals.refused("rate_limited", "key")
    totals.refused("rate_limited", None)
    totals.refused("server_full", "key")
    assert (totals.refusals["rate_limited"], totals.refusals["server_full"]) == (2, 1)
    assert totals.connections_over_rate == {"key": 1, "token": 0, "anonymous": 0}


def test_labels_are_there_from_the_start_and_never_more() -> None:
    totals = Totals()
    assert totals.errors == dict.fromkeys(ERROR_KINDS, 0)
    assert totals.messages_sent.keys() == {each.type for each in get_args(ServerMessage)}
    assert totals.transcriptions.keys() == set(get_args(SegmentReason))


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([3], 0.95, 3), ([1, 2, 3, 4], 0.5, 2), (range(1, 101), 0.95, 95)],
)
def test_percentiles_are_by_nearest_rank(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentiles(values, share) == [expected]


def moment(at_s: float = NOON_S) -> Moment:
    return Moment(at_s, connections=2, sessions=1, queue=3, process_bytes=10, gpu_bytes=None)


def test_a_step_of_the_history_shows_its_own_interval() -> None:
    observation = Observation()
    told = observation.telemetry.connection("key", "key:backend")
    for latency_ms in (100.0, 200.0, 900.0):
        say(told, text(latency_ms=latency_ms))
    say(told, LIMITED)
    told.frame_received(2_048, 10.0)
    observation.telemetry.request_done(
        RequestReport("final", "decoded", 2.0, wait_s=0.0, batch_size=3, compute_s=1.0)
    )
    observation.telemetry.batch_done(3, 0.2)
    observation.telemetry.batch_done(1, 0.2)
    observation.history.step(moment())
    observation.history.step(moment(NOON_S + INTERVAL_S))
    report = observation.history.report()
    assert report["times"] == [NOON_S, NOON_S + INTERVAL_S]
    assert report["series"] == {
        "connections": [2, 2],
        "sessions": [1, 1],
        "queue": [3, 3],
        "batch_size": [2.0, None],
        "latency_p50_ms": [200.0, None],
        "latency_p95_ms": [900.0, None],
        "compute_p50_ms": [100.0, None],
        "real_time_factor": [0.1, None],
        "process_bytes": [10, 10],
        "gpu_bytes": [None, None],
        "audio_s_per_s": [2.0, 0.0],
        "errors": [1, 0],
    }


def test_what_recordings_cost_is_no_streams_cost() -> None:
    observation = Observation()
    observation.telemetry.connection("key", "key:backend").frame_received(2_048, 10.0)
    for kind, compute_s in (("final", 1.0), ("recording", 50.0)):
        observation.telemetry.request_done(
            RequestReport(kind, "decoded", 2.0, wait_s=0.0, batch_size=1, compute_s=compute_s)
        )
    observation.history.step(moment())
    assert observation.history.report()["series"]["real_time_factor"] == [0.1]
    assert observation.totals.compute_s == 1.0


def test_words_that_nobody_waits_for_make_no_latency() -> None:
    observation = Observation()
    told = observation.telemetry.connection("key", "key:backend")
    begin(told)
    say(told, text(latency_ms=1_500.0, reason="buffer_full"), text(latency_ms=100.0))
    observation.history.step(moment())
    assert observation.history.report()["series"]["latency_p95_ms"] == [100.0]
    (live,) = observation.sessions.summaries()
    assert (live["latency_p95_ms"], live["transcriptions"]) == (100.0, 2)


def test_the_history_is_an_hour_and_no_more() -> None:
    observation = Observation()
    for step in range(STEPS + 10):
        observation.history.step(moment(NOON_S + step))
    report = observation.history.report()
    assert STEPS * INTERVAL_S == 3_600
    assert report["times"][0] == NOON_S + 10
    assert {len(report["series"][name]) for name in SERIES} == {len(report["times"])} == {STEPS}


async def test_the_observer_looks_around_every_5_s(autojump_clock: MockClock) -> None:
    observation = Observation(clock=trio.current_time)
    looked: list[float] = []

    def look(now_s: float) -> Moment:
        looked.append(now_s - observation.began_s)
        if len(looked) == 2:
            raise RuntimeError("it cannot look now")
        return moment(now_s)

    with trio.move_on_after(16):
        await observation.run(look, None)
    assert looked == [5.0, 10.0, 15.0]
    # What failed is counted, and observing goes on.
    assert observation.telemetry.faults == 1
    assert len(observation.history.report()["times"]) == 2


def logged(log: SessionLog, key: str) -> dict[str, Any]:
    record = log.get(key)
    assert record is not None
    return record.details()


def test_a_session_is_kept_with_what_happened_in_it() -> None:
    clock = Clock()
    log = SessionLog(transcripts=False, clock=clock)
    told = log.connection("key", "key:backend")
    begin(told)
    clock.now_s += 1.5
    say(told, ONSET, REJECTION, text(latency_ms=100.0), text(latency_ms=300.0), INTERRUPTED)
    say(told, LIMITED)
    (live,) = log.summaries()
    assert live["state"] == "live"
    assert (live["ended_at"], live["reason"]) == (None, None)
    clock.now_s += 0.5
    told.session_ended("s", "end_session", FIGURES)
    details = logged(log, live["key"])
    assert {name: details[name] for name in details if name not in {"key", "events"}} == {
        "session_id": "s",
        "conversation_id": "talk",
        "user_id": "u-1",
        "principal": "key:backend",
        "state": "ended",
        "started_at": "2024-01-15T12:00:00.000Z",
        "ended_at": "2024-01-15T12:00:02.000Z",
        "reason": "end_session",
        "audio_s": 2.0,
        "transcriptions": 2,
        "errors": 1,
        "onsets": 1,
        "rejections": 1,
        "latency_p50_ms": 100.0,
        "latency_p95_ms": 300.0,
        "real_time_factor": 0.05,
        "account": {
            "received_ms": 2_000,
            "transcribed_ms": 1_200,
            "silence_ms": 700,
            "discarded_ms": 100,
        },
    }
    kinds = [(event["at_s"], event["kind"]) for event in details["events"]]
    assert kinds == [
        (0.0, "started"),
        (1.5, "onset"),
        (1.5, "rejection"),
        (1.5, "transcription"),
        (1.5, "transcription"),
        (1.5, "interrupt"),
        (1.5, "error"),
        (2.0, "ended"),
    ]
    assert details["events"][3] == {
        "at_s": 1.5,
        "kind": "transcription",
        "utterance": 1,
        "audio_start_ms": 300,
        "audio_duration_ms": 1_200,
        "reason": "speech_end",
        "latency_ms": 100.0,
        "compute_ms": 100.0,
        "words": 2,
        "code": None,
        "text": None,
    }


@pytest.mark.parametrize("transcripts", [True, False])
def test_words_are_kept_only_where_the_operator_wants_them(transcripts: bool) -> None:
    observation = Observation(transcripts=transcripts)
    told = observation.telemetry.connection("key", "key:backend")
    begin(told)
    say(told, text("hello there"), REJECTION)
    (summary,) = observation.sessions.summaries()
    texts = [event["text"] for event in logged(observation.sessions, summary["key"])["events"]]
    assert texts == ([None, "hello there", "mm-hm"] if transcripts else [None, None, None])
    assert ("hello" in repr(vars(observation.sessions))) is transcripts


def test_live_sessions_come_first_and_outlive_ended_ones() -> None:
    log = SessionLog(transcripts=False, clock=Clock(), limit=3)
    tolds = [log.connection("anonymous", "anonymous:local") for _ in range(5)]
    for name, told in zip("abc", tolds, strict=False):
        begin(told, name)
    tolds[1].session_ended("b", "end_session", FIGURES)
    assert [(each["session_id"], each["state"]) for each in log.summaries()] == [
        ("c", "live"),
        ("a", "live"),
        ("b", "ended"),
    ]
    begin(tolds[3], "d")
    assert [each["session_id"] for each in log.summaries()] == ["d", "c", "a"]
    # With none that has ended the oldest one has to go; what it still reports is not kept.
    begin(tolds[4], "e")
    say(tolds[0], text())
    tolds[0].session_ended("a", "end_session", FIGURES)
    assert [each["session_id"] for each in log.summaries()] == ["e", "d", "c"]


def test_events_of_a_session_are_bounded_and_the_newest_stay() -> None:
    log = SessionLog(transcripts=False, clock=Clock())
    told = log.connection("anonymous", "anonymous:local")
    begin(told)
    for _ in range(MOST_EVENTS + 5):
        say(told, ONSET)
    say(told, LIMITED)
    (summary,) = log.summaries()
    events = logged(log, summary["key"])["events"]
    assert len(events) == MOST_EVENTS
    assert events[-1]["kind"] == "error"
    assert summary["onsets"] == MOST_EVENTS + 5


def test_figures_of_a_live_session_are_asked_and_then_let_go() -> None:
    log = SessionLog(transcripts=False, clock=Clock())
    told = log.connection("anonymous", "anonymous:local")
    asked = []

    def figures() -> SessionFigures:
        asked.append(1)
        return SessionFigures(float(len(asked)), 0.0, AudioAccount(0, 0, 0, 0, 0))

    begin(told, figures=figures)
    assert [log.summaries()[0]["audio_s"] for _ in range(2)] == [1.0, 2.0]
    told.session_ended("s", "disconnected", FIGURES)
    assert log.summaries()[0]["audio_s"] == 2.0
    assert len(asked) == 2


def test_the_process_knows_its_memory() -> None:
    held = process_bytes()
    assert held is not None
    assert 10**6 < held < 10**11
