"""A scripted connection for `transcribe`: one segment for each second of audio it was fed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fasttalk_stt.connection.memory import MemoryTransport


class ScriptedConnection:
    """Answers like a real one. `answer_start` replaces the answer to start_session,
    `before_end` are further messages before session_ended, `close_code` closes instead of it.
    """

    def __init__(
        self,
        transport: MemoryTransport,
        *,
        answer_start: dict[str, Any] | None = None,
        before_end: tuple[dict[str, Any], ...] = (),
        close_code: int | None = None,
    ) -> None:
        self._transport = transport
        self._answer_start = answer_start
        self._before_end = before_end
        self._close_code = close_code
        self.config: dict[str, Any] = {}
        self._n_samples = 0

    async def run(self) -> None:
        while True:
            message = await self._transport.receive()
            if isinstance(message, bytes):
                self._n_samples += len(message) // 4
                if self._n_samples % self.config["sample_rate"] == 0:
                    await self._send(_transcription(self._n_samples // self.config["sample_rate"]))
            elif message is not None and "start_session" in message:
                self.config = json.loads(message)["session_config"]
                await self._send(
                    self._answer_start or {"type": "session_started", "model": "scripted"}
                )
            else:
                for extra in self._before_end:
                    await self._send(extra)
                if self._close_code is not None:
                    await self._transport.close(self._close_code, "internal fault")
                    return
                await self._send({"type": "session_ended"})

    async def _send(self, message: dict[str, Any]) -> None:
        rate_hz = self.config["sample_rate"]
        metadata = {"audio_committed_ms": self._n_samples * 1000 // rate_hz}
        await self._transport.send(json.dumps(message | {"metadata": metadata}))


def _transcription(second: int) -> dict[str, Any]:
    start_ms = (second - 1) * 1000
    return {
        "type": "transcription",
        "data": {
            "text": f" Word {second}.",
            "utterance": second,
            "audio_duration_ms": 1000,
            "timestamps": [
                {"word": "Word", "start_ms": start_ms, "end_ms": start_ms + 400, "confidence": 0.9},
                {
                    "word": f"{second}.",
                    "start_ms": start_ms + 400,
                    "end_ms": start_ms + 800,
                    "confidence": 0.8,
                },
            ],
            "metadata": {"audio_start_ms": start_ms, "language": "en"},
        },
    }


@pytest.fixture
def scripted_connection() -> Callable[..., ScriptedConnection]:
    return ScriptedConnection
