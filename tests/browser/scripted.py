"""A server inside the test: it starts sessions and says what it is told to, however much."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

METADATA = {"session_id": "s", "timestamp": "2024-01-15T10:30:00.000Z", "audio_committed_ms": 0}
WORD_MS = 300

SENTENCE = "Twelve words of which some are sure and others are hardly heard"


class ScriptedServer:
    """Takes the place of a page's WebSocket; `received` are the page's JSON messages.

    `config` is what it says is in effect, besides what it is asked for.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self._socket: WebSocketRoute | None = None
        self._seq = 0

    def attach(self, page: Page) -> None:
        """Before the page loads."""
        page.route_web_socket("**/ws/transcribe", self._opened)

    def _opened(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        socket.on_message(self._hear)

    def _hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            return
        asked = json.loads(message)
        self.received.append(asked)
        if asked["type"] == "start_session":
            config = self.config | asked["session_config"]
            self.say("session_started", config=config, ignored_fields=[], model="scripted")
        elif asked["type"] == "end_session":
            self.say("session_ended", reason="end_session", audio={}, segments=0)

    def say(self, type_: str, **fields: object) -> None:
        assert self._socket is not None, "no page has connected"
        self._seq += 1
        message = {"type": type_, **fields, "metadata": {**METADATA, "seq": self._seq}}
        self._socket.send(json.dumps(message))

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == type_]

    def onset(self, utterance: int, start_ms: int) -> None:
        self._about(
            "voice_activity_detected",
            utterance,
            audio_start_ms=start_ms,
            duration_ms=64,
            confidence=0.9,
            energy_level=0.5,
            is_speech=True,
            barge_in=False,
            withheld_segments=0,
            timestamp=METADATA["timestamp"],
        )

    def rejected(self, utterance: int, start_ms: int, **fields: object) -> None:
        self._about("voice_activity_rejected", utterance, audio_start_ms=start_ms, **fields)

    def partial(self, utterance: int, start_ms: int, text: str, stable: str) -> None:
        self._about(
            "partial_transcription",
            utterance,
            text=text,
            stable_text=stable,
            audio_start_ms=start_ms,
            audio_duration_ms=1000,
        )

    def speech_ended(self, utterance: int, start_ms: int, end_ms: int) -> None:
        self._about("speech_ended", utterance, audio_start_ms=start_ms, audio_end_ms=end_ms)

    def final(
        self, utterance: int, start_ms: int, text: str = SENTENCE, *, end_of_turn: bool = True
    ) -> None:
        words = text.split()
        self._about(
            "transcription",
            utterance,
            text=text,
            processing_time_ms=0.0,
            audio_duration_ms=WORD_MS * len(words),
            timestamps=[
                {
                    "word": word,
                    "start_ms": start_ms + WORD_MS * index,
                    "end_ms": start_ms + WORD_MS * (index + 1),
                    "confidence": (0.95, 0.7, 0.3)[index % 3],
                }
                for index, word in enumerate(words)
            ],
            metadata={
                "audio_start_ms": start_ms,
                "reason": "speech_end",
                "language": "en",
                "end_of_turn": end_of_turn,
                "latency_ms": 300.0,
            },
        )

    def _about(self, type_: str, utterance: int, **data: object) -> None:
        fields: Mapping[str, object] = {"utterance": utterance, **data}
        self.say(type_, data=fields)
