"""The log of sessions: beginnings and ends, ids on each line, and what people said only if asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from trio.testing import MockClock

from fasttalk_stt.service.journal import Journal
from fasttalk_stt.telemetry.fanout import Fanout
from tests.connection.conftest import Serving
from tests.support import silence, sound

UTTERANCE = np.concatenate((silence(0.3), sound(1.0), silence(0.8)))


async def logged(serving: Serving, *, transcripts: bool) -> tuple[list[dict[str, Any]], str]:
    """The lines of a session in which something is said, and what was heard."""
    with capture_logs() as lines:
        async with serving(telemetry=Fanout([Journal(transcripts=transcripts)])) as server:
            peer = server.connect()
            await peer.start(session_id="mine", conversation_id="yours", user_id="u")
            await peer.stream(UTTERANCE)
            text = (await peer.wait_for("transcription"))["data"]["text"]
            await peer.send("configure", config={"buffer_duration": "long"})
            await peer.wait_for("error")
            await peer.end()
    return [dict(line) for line in lines], text


async def test_a_session_begins_and_ends_with_its_account(
    serving: Serving, autojump_clock: MockClock
) -> None:
    lines, text = await logged(serving, transcripts=False)
    assert text
    assert text not in str(lines)
    events = {line["event"]: line for line in lines}
    assert list(events) == ["session_started", "transcription", "error", "session_ended"]
    for line in events.values():
        assert (line["session_id"], line["conversation_id"], line["user_id"]) == (
            "mine",
            "yours",
            "u",
        )
    assert events["session_started"]["start"] == "new"
    assert events["transcription"]["log_level"] == "debug"
    assert events["transcription"]["latency_ms"] >= 0
    assert events["error"]["code"] == "invalid_config"
    ended = events["session_ended"]
    assert ended["reason"] == "end_session"
    assert ended["received_ms"] == 2100
    assert ended["received_ms"] == sum(
        ended[part] for part in ("transcribed_ms", "silence_ms", "discarded_ms")
    )


async def test_what_was_said_stands_in_the_log_only_where_it_was_asked_for(
    serving: Serving, autojump_clock: MockClock
) -> None:
    lines, text = await logged(serving, transcripts=True)
    (said,) = (line for line in lines if line["event"] == "transcription")
    assert (said["text"], said["log_level"]) == (text, "info")


async def test_onsets_rejections_and_interrupts_are_for_whoever_looks_closer(
    serving: Serving, autojump_clock: MockClock
) -> None:
    with capture_logs() as lines:
        async with serving(telemetry=Fanout([Journal()])) as server:
            peer = server.connect()
            await peer.start(fasttalk_mode=True)
            await peer.stream(UTTERANCE)
            await peer.wait_for("transcription")
            await peer.send("interrupt")
            await peer.wait_for("interrupt_acknowledged")
            await peer.end()
    levels = {line["event"]: line["log_level"] for line in lines}
    assert levels["onset"] == levels["interrupt"] == "debug"


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_breaker_that_moves_is_told(state: str) -> None:
    with capture_logs() as lines:
        Journal().breaker_moved("gpu", state)
    assert lines == [
        {"event": "breaker_moved", "breaker": "gpu", "state": state, "log_level": "warning"}
    ]
