"""A connection's life under the virtual clock: order, barge-in, back-pressure, faults, ends."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from fasttalk_stt.audio.vad import VoiceFrame
from fasttalk_stt.connection.memory import PeerClosedError
from fasttalk_stt.inference.errors import EngineError, GpuError, GpuMemoryExhaustedError
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.protocol.state import ConnectionState
from tests.connection.conftest import EARS, Peer, Serving
from tests.support import LevelDetector, silence, sound


async def say(peer: Peer, seconds: float, *, pause_s: float = 0.8) -> None:
    await peer.stream(np.concatenate((sound(seconds), silence(pause_s))))


async def test_a_session_from_start_to_end(serving: Serving, autojump_clock: MockClock) -> None:
    async with serving() as server:
        peer = server.connect()
        started = await peer.start(language="en", speed=2)
        assert started["ignored_fields"] == ["speed"]
        assert started["model"] == "fake"
        assert started["config"]["language"] == "en"
        await say(peer, 1.2)
        final = await peer.wait_for("transcription")
        assert final["data"]["metadata"]["reason"] == "speech_end"
        assert final["data"]["metadata"]["end_of_turn"] is True
        assert [w["word"] for w in final["data"]["timestamps"]] == final["data"]["text"].split()
        ended = await peer.end()
    audio = ended["audio"]
    assert ended["reason"] == "end_session"
    assert ended["segments"] == 1
    assert audio["received_ms"] == 2_000
    assert audio["transcribed_ms"] == final["data"]["audio_duration_ms"]
    assert audio["transcribed_ms"] + audio["silence_ms"] == 2_000
    assert [m["metadata"]["seq"] for m in peer.received] == [1, 2, 3]
    assert {m["metadata"]["session_id"] for m in peer.received} == {started["session_id"]}
    assert ended["metadata"]["audio_committed_ms"] == 2_000


async def test_a_connection_runs_sessions_one_after_another(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 0.5)) as server:
        peer = server.connect()
        for session_id in ("one", "two"):
            await peer.send("start_session", session_config={"session_id": session_id})
            await peer.stream(sound(1.0), pace=0)
            # The next session starts while this one's last result is still being computed.
            await peer.send("end_session")
        await peer.wait_for("session_ended", count=2)
    for session_id in ("one", "two"):
        own = [m for m in peer.received if m["metadata"]["session_id"] == session_id]
        assert [m["type"] for m in own] == ["session_started", "transcription", "session_ended"]
        assert [m["metadata"]["seq"] for m in own] == [1, 2, 3]


async def test_what_comes_outside_a_session_is_an_error_and_audio_only_one_a_gap(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.stream(sound(0.2))
        await peer.send("flush_buffer")
        await peer.send("ping", id=7)
        await peer.wait_for("pong")
        assert peer.errors == ["session_not_started", "session_not_started"]
        assert peer.of_type("pong")[0]["id"] == 7
        assert peer.received[0]["metadata"] == {
            "session_id": None,
            "timestamp": "2024-01-15T12:00:00.000Z",
            "seq": None,
            "audio_committed_ms": None,
        }
        await peer.start()
        await peer.send("start_session")
        await peer.end()
        await peer.stream(sound(0.2))
        await peer.send("ping")
        await peer.wait_for("pong", count=2)
    assert peer.errors[2:] == ["session_already_started", "session_not_started"]


async def test_an_empty_frame_is_no_audio_and_no_error(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.transport.feed(None)
        ended = await peer.end()
    assert ended["audio"]["received_ms"] == 0
    assert peer.errors == []


async def test_a_rejected_frame_keeps_its_place_in_time(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(silence(0.512))
        await peer.transport.feed(np.full(1_600, np.nan, dtype="<f4").tobytes())
        await say(peer, 1.0)
        ended = await peer.end()
    assert peer.errors == ["audio_processing_error"]
    assert ended["audio"]["discarded_ms"] == 100
    assert ended["audio"]["received_ms"] == 512 + 100 + 1_800
    (final,) = peer.of_type("transcription")
    # The pre-roll of 300 ms before the 20 ms frame in which the speech began.
    assert 612 - 300 - 20 < final["data"]["metadata"]["audio_start_ms"] <= 612 - 300


async def test_flush_answers_exactly_once_with_text_or_without(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.send("flush_buffer")
        await peer.wait_for("transcription")
        await peer.stream(sound(0.6))
        await peer.send("flush_buffer")
        await peer.stream(np.concatenate((sound(0.6), silence(0.8))))
        ended = await peer.end()
    reasons = [m["data"]["metadata"]["reason"] for m in peer.of_type("transcription")]
    assert reasons == ["flush", "flush", "speech_end"]
    empty, middle, rest = peer.of_type("transcription")
    assert empty["data"]["text"] == ""
    assert middle["data"]["utterance"] == rest["data"]["utterance"] == 1
    edge = middle["data"]["metadata"]["audio_start_ms"] + middle["data"]["audio_duration_ms"]
    assert edge == rest["data"]["metadata"]["audio_start_ms"] == 600
    assert ended["audio"]["discarded_ms"] == 0


async def test_configure_and_context_keep_their_place_and_are_answered(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start()
        await peer.send("configure", config={"endpoint_silence_ms": 300})
        await peer.send("configure", config={"sample_rate": 8_000})
        await peer.send("configure", config={"buffer_duration": 99})
        await peer.send("context_update", data={"expected_response_type": "command"})
        await peer.wait_for("context_updated")
        assert peer.of_type("configured")[0]["config"]["endpoint_silence_ms"] == 300
        assert peer.errors == ["invalid_config", "invalid_config"]
        await say(peer, 1.0, pause_s=0.3)
        final = await peer.wait_for("transcription")
        # 300 ms of silence, shortened for a command, were enough.
        assert final["data"]["metadata"]["reason"] == "speech_end"
        await peer.end()


async def test_a_language_the_model_does_not_know_is_refused(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.send("start_session", session_config={"language": "sv"})
        error = await peer.wait_for("error")
        assert error["error"]["code"] == "invalid_config"
        assert "knows de, en, fr" in error["error"]["message"]
        await peer.start(language="de-AT")
        await say(peer, 1.0)
        await peer.wait_for("transcription")
    assert server.engine.batches[0][0].language == "de"


async def test_onset_is_reported_once_and_answered_by_text(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True, conversation_id="c", user_id="u")
        await say(peer, 1.0)
        await peer.end()
    assert peer.types == [
        "session_started", "voice_activity_detected", "speech_ended", "transcription",
        "session_ended",
    ]  # fmt: skip
    onset = peer.received[1]
    assert onset["data"]["is_speech"] is True
    assert onset["data"]["audio_start_ms"] == 0
    assert onset["data"]["barge_in"] is False
    assert onset["metadata"]["conversation_id"] == "c"
    assert onset["metadata"]["user_id"] == "u"


async def test_an_onset_without_words_is_taken_back(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(lambda _: [])) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        await say(peer, 1.0)
        rejected = await peer.wait_for("voice_activity_rejected")
        assert rejected["data"]["reason"] == "noise"
        ended = await peer.end()
    assert "transcription" not in peer.types
    assert "speech_ended" not in peer.types
    assert ended["audio"]["silence_ms"] == ended["audio"]["received_ms"]


async def test_interrupt_is_acknowledged_at_once_and_keeps_what_is_being_said(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 5.0), transcription_timeout_s=60.0) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        await say(peer, 1.0)  # its text takes 5 s
        await peer.stream(sound(0.5))
        before = trio.current_time()
        await peer.send("interrupt", reason="user spoke")
        acknowledged = await peer.wait_for("interrupt_acknowledged")
        assert trio.current_time() - before < 0.05
        assert acknowledged["data"]["cancelled_segments"] == 1
        assert acknowledged["data"]["buffer_cleared"] is True
        assert 500 <= acknowledged["data"]["kept_audio_ms"] <= 900
        await peer.stream(silence(0.8))
        final = await peer.wait_for("transcription")
        assert final["data"]["utterance"] == 2
        ended = await peer.end()
    assert len(peer.of_type("transcription")) == 1
    rejected = peer.of_type("voice_activity_rejected")
    assert [(r["data"]["utterance"], r["data"]["reason"]) for r in rejected] == [(1, "interrupted")]
    assert ended["audio"]["discarded_ms"] > 1_000


async def test_interrupt_all_drops_the_open_utterance_too(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        await peer.stream(sound(0.6))
        await peer.send("user_interrupt", scope="all")
        acknowledged = await peer.wait_for("interrupt_acknowledged")
        assert acknowledged["data"]["kept_audio_ms"] == 0
        await peer.stream(silence(1.0))
        ended = await peer.end()
    assert [r["data"]["reason"] for r in peer.of_type("voice_activity_rejected")] == ["interrupted"]
    assert peer.of_type("transcription") == []
    assert ended["audio"]["discarded_ms"] == 600


async def test_a_cancelled_request_that_was_not_begun_is_never_computed(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 3.0), transcription_timeout_s=60.0) as server:
        busy, peer = server.connect(), server.connect()
        await busy.start()
        await say(busy, 1.0)
        await peer.start()
        await say(peer, 1.0)
        await peer.send("interrupt", scope="all")
        await peer.wait_for("interrupt_acknowledged")
        await busy.wait_for("transcription")
        await peer.end()
    assert [len(batch) for batch in server.engine.batches] == [1]


async def test_continuous_speech_is_committed_word_by_word(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(interim_results=True)
        await say(peer, 6.0)
        await peer.end()
    finals = peer.of_type("transcription")
    reasons = [final["data"]["metadata"]["reason"] for final in finals]
    assert reasons[:-1] == ["buffer_full"] * (len(finals) - 1)
    assert len(finals) >= 3
    words = [w for final in finals for w in final["data"]["timestamps"]]
    assert len(words) >= 15
    assert [w["start_ms"] for w in words] == sorted({w["start_ms"] for w in words})
    partials = peer.of_type("partial_transcription")
    assert partials
    assert all(p["data"]["text"].startswith(p["data"]["stable_text"]) for p in partials)


async def test_without_a_detector_audio_is_cut_by_its_duration(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(enable_vad=False, buffer_duration=1.0)
        await peer.stream(np.concatenate((sound(3.0), silence(2.0))))
        ended = await peer.end()
    reasons = {final["data"]["metadata"]["reason"] for final in peer.of_type("transcription")}
    assert "buffer_full" in reasons
    assert ended["audio"]["transcribed_ms"] >= 2_900
    assert ended["audio"]["received_ms"] == 5_000


async def test_a_client_that_stalls_is_answered(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        peer = server.connect()
        await peer.start(endpoint_silence_ms=400)
        await peer.stream(sound(1.0))
        sent = trio.current_time()
        final = await peer.wait_for("transcription")
        assert trio.current_time() - sent <= 1.0
        assert final["data"]["metadata"]["reason"] == "speech_end"
        await say(peer, 1.0)
        ended = await peer.end()
    assert [m["data"]["utterance"] for m in peer.of_type("transcription")] == [1, 2]
    assert ended["audio"]["received_ms"] == 2_800


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (EngineError("x"), "transcription_failed"),
        (GpuError("x"), "gpu_error"),
        (GpuMemoryExhaustedError("x"), "gpu_memory_exhaustion"),
        (ZeroDivisionError("a bug"), "transcription_failed"),
    ],
)
async def test_an_engine_error_skips_the_segment_and_the_session_goes_on(
    serving: Serving, autojump_clock: MockClock, raised: Exception, code: str
) -> None:
    def fail_at_first(requests: object) -> float:
        # In the pause, when the segment is closed, and twice again.
        if len(engine.batches) <= 4:
            raise raised
        return 0.1

    engine = FakeEngine(cost_s=fail_at_first)
    async with serving(engine) as server:
        peer = server.connect()
        await peer.start(fasttalk_mode=True)
        await say(peer, 1.0)
        await peer.wait_for("error")
        await say(peer, 1.0)
        await peer.wait_for("transcription")
        ended = await peer.end()
    assert peer.errors == [code]
    assert [r["data"]["reason"] for r in peer.of_type("voice_activity_rejected")] == ["failed"]
    assert ended["audio"]["discarded_ms"] > 1_000


async def test_a_segment_that_waits_too_long_is_skipped(
    serving: Serving, autojump_clock: MockClock
) -> None:
    engine = FakeEngine(cost_s=lambda _: 60.0 if len(engine.batches) == 1 else 0.1)
    async with serving(engine, transcription_timeout_s=10.0) as server:
        peer = server.connect()
        await peer.start()
        await say(peer, 1.0)
        closed = trio.current_time()
        error = await peer.wait_for("error")
        assert error["error"]["code"] == "transcription_timeout"
        assert 9.0 < trio.current_time() - closed <= 10.0
        assert error["error"]["retry_after"] == 1.0
        await trio.sleep(60)
        await say(peer, 1.0)
        await peer.wait_for("transcription")
        await peer.end()


async def test_too_many_errors_close_the_connection(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(max_session_errors=3) as server:
        peer = server.connect()
        await peer.start()
        for _ in range(3):
            await peer.transport.feed("not json")
        await peer.wait_for("error", count=4)
        await trio.sleep(1)
    assert peer.errors == ["invalid_json"] * 3 + ["too_many_errors"]
    assert peer.transport.close_frame is not None
    assert peer.transport.close_frame.code == 1008


async def test_a_replay_is_held_back_at_the_bound_and_nothing_is_lost(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(
        FakeEngine(cost_s=lambda _: 4.0), max_pending_s=30.0, transcription_timeout_s=100.0
    ) as server:
        peer = server.connect()
        await peer.start()
        most_pending_s = 0.0
        speech = np.concatenate((sound(1.0), silence(0.8)))
        for _ in range(40):
            await peer.stream(speech, pace=0)
            live = peer.connection._listener.live
            assert live is not None
            most_pending_s = max(most_pending_s, live.session.pending_s)
        ended = await peer.end()
    # It is looked at every 1.8 s.
    assert 28.0 < most_pending_s <= 30.0 + 0.032
    assert len(peer.of_type("transcription")) == 40
    assert ended["audio"]["received_ms"] == 72_000
    assert peer.errors == []


async def test_a_session_that_is_too_long_is_ended_and_another_may_start(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(max_session_s=60.0) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(silence(60.1), pace=0)
        ended = await peer.wait_for("session_ended")
        assert ended["reason"] == "session_too_long"
        assert "session_too_long" in peer.errors
        await peer.start()


async def test_states_follow_speech_and_requests(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving(FakeEngine(cost_s=lambda _: 1.0)) as server:
        peer = server.connect()
        await peer.start()
        assert peer.connection.state is ConnectionState.ACTIVE
        await peer.stream(sound(1.0))
        assert peer.connection.state is ConnectionState.BUFFERING
        await peer.stream(silence(0.8))
        assert peer.connection.state is ConnectionState.PROCESSING
        await peer.wait_for("transcription")
        assert peer.connection.state is ConnectionState.ACTIVE
        statistics = peer.connection.statistics()
        assert statistics is not None
        assert statistics.total_chunks == 57
        assert statistics.total_processing_time_s == 1.0
        await peer.end()
        assert peer.connection.statistics() is None


async def test_a_session_taken_over_closes_the_older_connection(
    serving: Serving, autojump_clock: MockClock
) -> None:
    async with serving() as server:
        older, newer = server.connect(), server.connect()
        await older.start(session_id="mine")
        await newer.start(session_id="mine")
        await trio.sleep(1)
        assert older.transport.close_frame is not None
        assert older.transport.close_frame.code == 1008
        assert older.errors == ["session_already_started"]
        await say(newer, 1.0)
        await newer.wait_for("transcription")
        assert len(server.sessions) == 1


async def test_our_own_fault_is_told_and_closed_with_1011(
    serving: Serving, autojump_clock: MockClock
) -> None:
    class BrokenDetector(LevelDetector):
        def push(self, samples: object) -> list[VoiceFrame]:
            raise ZeroDivisionError("secret detail")

    async with serving() as server:
        broken = attrs.evolve(EARS, make_detector=BrokenDetector)
        peer, other = server.connect(ears=broken), server.connect()
        await peer.start()
        with pytest.raises(PeerClosedError):
            await peer.stream(sound(1.0))
        error = await peer.wait_for("error")
        assert error["error"]["code"] == "internal_error"
        assert "secret" not in error["error"]["message"]
        assert peer.transport.close_frame is not None
        assert peer.transport.close_frame.code == 1011
        assert peer.connection.state is ConnectionState.ERROR
        await other.start()
        await say(other, 1.0)
        await other.wait_for("transcription")
