"""One conversation: audio to the service, its text to the LLM, barge-in to everybody who speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Protocol

from fasttalk_stt.client import (
    Session,
    SessionOptions,
    Transcription,
    VoiceActivityDetected,
    connect,
)


class Interruptible(Protocol):
    """What the LLM and the TTS services have to offer."""

    async def interrupt(self, reason: dict[str, Any]) -> None: ...


class FasttalkSTTIntegration:
    """Streams a user's audio and hands every text to `send_to_llm`."""

    def __init__(
        self,
        *,
        send_to_llm: Callable[[str, Any], Awaitable[None]],
        speakers: list[Interruptible],
        stt_endpoint: str = "ws://stt-service:8000/ws/transcribe",
        credentials: str | None = None,
    ) -> None:
        self.stt_endpoint = stt_endpoint
        self.current_session: Session | None = None
        self._send_to_llm = send_to_llm
        self._speakers = speakers
        self._credentials = credentials

    async def run_conversation(
        self, user_id: str, audio_stream: AsyncIterable[Any], conversation_id: str | None = None
    ) -> None:
        """Hold one conversation, to the end of the audio and the last text about it."""
        config = SessionOptions(
            enable_timestamps=False,
            buffer_duration=1.0,
            fasttalk_mode=True,
            user_id=user_id,
            conversation_id=conversation_id,
        )
        async with connect(
            self.stt_endpoint,
            credentials=self._credentials,
            config=config,
            on_speech_onset=self.handle_user_interrupt,
        ) as session:
            self.current_session = session
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send_audio(session, audio_stream))
                    async for event in session:
                        if isinstance(event, Transcription):
                            await self._send_to_llm(event.data.text, event.metadata)
            finally:
                self.current_session = None

    async def handle_user_interrupt(self, onset: VoiceActivityDetected) -> None:
        """Stop everybody who speaks. `on_onset_rejected` would tell when they may go on."""
        reason = {
            "type": "user_interrupt",
            "confidence": onset.data.confidence,
            "timestamp": onset.data.timestamp,
            "session_id": onset.metadata.session_id,
        }
        await asyncio.gather(*(speaker.interrupt(reason) for speaker in self._speakers))

    async def _send_audio(self, session: Session, audio_stream: AsyncIterable[Any]) -> None:
        async for chunk in audio_stream:
            await session.send_audio(chunk)
        await session.end()
