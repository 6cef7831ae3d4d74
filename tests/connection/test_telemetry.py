"""What a connection and the engine behind it tell of themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from fasttalk_stt.access.principal import Principal
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.inference.errors import EngineError, GpuError
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.protocol.server_messages import ServerMessage
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    EndReason,
    RequestReport,
    SessionFigures,
    SessionInfo,
    Telemetry,
)
from tests.connection.conftest import Serving
from tests.connection.test_faults import Scripted, fail_segments, say
from tests.support import silence, sound


@define
class Diary(Telemetry):
    """Writes everything down."""

    connections: list[ConnectionDiary] = field(factory=list)
    requests: list[RequestReport] = field(factory=list)
    batches: list[int] = field(factory=list)
    retries: int = 0
    moves: list[tuple[str, str]] = field(factory=list)

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        self.connections.append(ConnectionDiary(kind, principal))
        return self.connections[-1]

    def request_done(self, report: RequestReport) -> None:
        self.requests.append(report)

    def batch_done(self, n_requests: int, took_s: float) -> None:
        self.batches.append(n_requests)

    def retried(self) -> None:
        self.retries += 1

    def breaker_moved(self, breaker: str, state: str) -> None:
        self.moves.append((breaker, state))


@define
class ConnectionDiary(ConnectionTelemetry):
    kind: str
    principal: str
    frame_bytes: int = 0
    audio_s: float = 0.0
    n_heard: int = 0
    n_judged: int = 0
    text_bytes: int = 0
    n_dropped: int = 0
    held_back_s: float = 0.0
    started: list[SessionInfo] = field(factory=list)
    figures: Callable[[], SessionFigures] | None = None
    ended: list[tuple[str, EndReason, SessionFigures]] = field(factory=list)
    sent: list[tuple[ServerMessage, int, float | None]] = field(factory=list)
    codes: list[int | None] = field(factory=list)

    def frame_received(self, n_bytes: int, audio_s: float) -> None:
        self.frame_bytes += n_bytes
        self.audio_s += audio_s

    def frame_heard(self, took_s: float) -> None:
        self.n_heard += 1

    def voice_judged(self, took_s: float) -> None:
        self.n_judged += 1

    def text_received(self, n_bytes: int) -> None:
        self.text_bytes += n_bytes

    def text_dropped(self) -> None:
        self.n_dropped += 1

    def held_back(self, hold_s: float) -> None:
        self.held_back_s += hold_s

    def session_started(self, info: SessionInfo, figures: Callable[[], SessionFigures]) -> None:
        self.started.append(info)
        self.figures = figures

    def session_ended(self, session_id: str, reason: EndReason, figures: SessionFigures) -> None:
        self.ended.append((session_id, reason, figures))

    def message_sent(
        self, message: ServerMessage, n_bytes: int, took_s: float, *, since_speech_s: float | None
    ) -> None:
        self.sent.append((message, n_bytes, since_speech_s))

    def closed(self, code: int | None) -> None:
        self.codes.append(code)

    def types(self) -> list[str]:
        return [message.type for message, _, _ in self.sent]


async def test_a_session_is_told_from_start_to_end(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    async with serving(FakeEngine(cost_s=lambda _: 0.1), telemetry=diary) as server:
        peer = server.connect(Principal("key", "backend"))
        started = await peer.start(user_id="u-1", fasttalk_mode=True)
        await peer.stream(sound(1.2))
        await peer.stream(silence(0.8))
        await peer.wait_for("transcription")
        told = diary.connections[0]
        assert told.figures is not None
        live = told.figures()
        ended = await peer.end()
    assert (told.kind, told.principal) == ("key", "key:backend")
    assert told.started == [SessionInfo(started["session_id"], None, "u-1", "new")]
    assert told.frame_bytes == 32_000 * 4
    assert told.audio_s == live.audio_s == pytest.approx(2.0)
    assert told.n_heard == told.n_judged == 63
    session_id, reason, figures = told.ended[0]
    assert (session_id, reason) == (started["session_id"], "end_session")
    assert figures.account.transcribed_ms == ended["audio"]["transcribed_ms"]
    assert figures.account.received_ms == 2_000
    assert figures.real_time_factor == ended["real_time_factor"]
    assert told.types() == peer.types
    assert told.text_bytes > 0


async def test_the_text_of_an_utterances_end_tells_how_long_ago_its_speech_was_over(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    async with serving(
        FakeEngine(cost_s=lambda _: 0.1), telemetry=diary, speculation=False
    ) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(sound(1.2))
        await peer.stream(silence(0.8))
        await peer.wait_for("transcription")
        await peer.stream(sound(1.0))
        await peer.send("flush_buffer")
        await peer.wait_for("transcription", count=2)
    texts = [
        since for message, _, since in diary.connections[0].sent if message.type == "transcription"
    ]
    # The endpoint's silence of 0.5 s, the engine's 0.1 s, and at most a frame of each rate.
    assert texts[0] == pytest.approx(0.6, abs=0.04)
    # A flush cuts into speech: there was no end of it.
    assert texts[1] is None


async def test_a_connection_that_is_lost_discards_what_was_open(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    async with serving(telemetry=diary) as server:
        peer = server.connect()
        await peer.start(session_id="mine")
        await peer.stream(sound(1.0))
    told = diary.connections[0]
    (session_id, reason, figures) = told.ended[0]
    assert (session_id, reason) == ("mine", "disconnected")
    account = figures.account
    assert account.received_ms == 1_000
    assert account.discarded_ms + account.silence_ms == 1_000
    assert account.unsettled_ms == 0
    assert told.codes == [None]


async def test_a_session_whose_client_was_never_told_was_none(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    async with serving(telemetry=diary) as server:
        peer = server.connect()
        peer.stop_reading()
        await peer.send("start_session", session_config={})
        await peer.stream(sound(0.5))
    told = diary.connections[0]
    assert (told.started, told.ended, told.codes) == ([], [], [None])


async def test_a_resumed_session_is_told_as_one(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    resume = {
        "session_id": "mine",
        "committed_ms": 1_000,
        "audio_from_ms": 0,
        "seq": 3,
        "utterance": 0,
        "onset_reported": False,
    }
    async with serving(telemetry=diary) as server:
        peer = server.connect()
        await peer.start(resume=resume)
    assert [info.start for info in diary.connections[0].started] == ["resumed"]


async def test_our_own_fault_is_told_with_its_close_code(
    serving: Serving, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary()
    async with serving(telemetry=diary) as server:
        peer = server.connect()
        await peer.start()

        def fail(*_: Any) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr("fasttalk_stt.conversation.session.Session.hear", fail)
        await peer.stream(sound(0.032))
        await peer.wait_for("error")
        await trio.sleep(1)
    told = diary.connections[0]
    assert told.codes == [1011]
    assert told.types() == ["session_started", "error"]
    assert told.ended[0][1] == "disconnected"


async def test_what_the_limits_drop_and_hold_back_is_told(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    bucket = Bucket(rate_per_s=1.0, burst=1.0)
    async with serving(telemetry=diary, message_rate_limit=40) as server:
        peer = server.connect(audio=bucket)
        await peer.start()
        for ping_id in range(40):
            await peer.send("ping", id=ping_id)
        await peer.wait_for("error")
        await peer.stream(silence(3.0), pace=0)
        await trio.sleep(1)
    told = diary.connections[0]
    assert told.n_dropped == 1
    assert told.held_back_s == pytest.approx(2.0, abs=0.05)


async def test_requests_tell_their_kind_and_what_became_of_them(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    async with serving(FakeEngine(cost_s=lambda _: 0.1), telemetry=diary) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(sound(1.2))
        await peer.stream(silence(0.8))
        await peer.wait_for("transcription")
        await peer.end()
    (report,) = [each for each in diary.requests if each.outcome == "decoded"]
    # Asked for in the pause: its text was there before the endpoint made it a final.
    assert report.kind == "speculation"
    assert report.wait_s == 0.0
    assert report.batch_size == 1
    assert report.compute_s == pytest.approx(0.1)
    assert report.alignment_s == 0.0
    assert diary.batches == [1] * len(diary.requests)


async def test_a_request_that_nobody_waits_for_is_left(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary = Diary()
    async with serving(FakeEngine(cost_s=lambda _: 5.0), telemetry=diary) as server:
        peer = server.connect()
        await peer.start()
        await peer.stream(sound(1.0))
        await peer.send("flush_buffer")
        await trio.sleep(1)
        await peer.send("interrupt", scope="all")
        await peer.wait_for("interrupt_acknowledged")
        await peer.wait_for("transcription")
    assert {each.outcome for each in diary.requests} == {"left"}
    assert "final" in {each.kind for each in diary.requests}


async def test_retries_and_failures_are_told(serving: Serving, autojump_clock: MockClock) -> None:
    diary, engine = Diary(), Scripted()
    engine.fault = EngineError("broken")
    async with serving(engine, telemetry=diary) as server:
        peer = server.connect()
        await peer.start()
        await fail_segments(server, peer, engine, 1)
    assert diary.retries == 2
    finals = [each.outcome for each in diary.requests if each.kind == "final"]
    assert finals == ["failed"] * 3


async def test_breakers_tell_when_they_open_and_close(
    serving: Serving, autojump_clock: MockClock
) -> None:
    diary, engine = Diary(), Scripted()
    async with serving(engine, telemetry=diary, gpu_failure_threshold=1) as server:
        peer = server.connect()
        await peer.start()
        engine.fault = GpuError("broken")
        await fail_segments(server, peer, engine, 1)
        assert diary.moves == [("gpu", "open")]
        engine.fault = None
        await trio.sleep(server.resilience.reports().gpu.remaining_s + 0.1)
        await say(peer)
        await peer.wait_for("transcription")
    assert diary.moves == [("gpu", "open"), ("gpu", "half_open"), ("gpu", "closed")]
