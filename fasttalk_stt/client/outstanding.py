"""The commands of one connection that wait for their answers, and which message answers which. Pure.

Answers of a kind come in the order of its commands. An `error` names none, so what it answers is told
by its code and by how far the audio is settled.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from fasttalk_stt.client.events import (
    Configured,
    ContextUpdated,
    Error,
    InterruptAcknowledged,
    ServerEvent,
    SessionEnded,
    Transcription,
)
from fasttalk_stt.client.replay_buffer import Command
from fasttalk_stt.protocol.client_messages import (
    ClientMessage,
    Configure,
    ContextUpdate,
    EndSession,
    FlushBuffer,
    Interrupt,
)

_ANSWERS: dict[type[Any], type[ClientMessage]] = {
    Configured: Configure,
    ContextUpdated: ContextUpdate,
    InterruptAcknowledged: Interrupt,
    SessionEnded: EndSession,
}
_SEGMENT_ERRORS = frozenset(
    {
        "transcription_failed",
        "transcription_timeout",
        "gpu_memory_exhaustion",
        "gpu_error",
        "service_unavailable",
    }
)
"""Errors that answer for a segment, and so for a flush whose segment it was."""
_REFUSALS = frozenset({"invalid_config", "invalid_message"})


class Outstanding:
    """Forget it with its connection."""

    def __init__(self) -> None:
        self._commands: dict[type[ClientMessage], deque[Command]] = defaultdict(deque)

    def add(self, command: Command) -> None:
        """It was sent."""
        self._commands[type(command.message)].append(command)

    def awaits(self, kind: type[ClientMessage]) -> bool:
        """Whether a command of this kind waits for its answer."""
        return bool(self._commands[kind])

    def take_answered(self, event: ServerEvent) -> Command | None:
        """Take out the command that this message answers, if any."""
        kind = _ANSWERS.get(type(event))
        if isinstance(event, Transcription) and event.data.metadata.reason == "flush":
            kind = FlushBuffer
        if kind is None or not self._commands[kind]:
            return None
        return self._commands[kind].popleft()

    def take_refused(self, event: Error, settled_to: int) -> Command | None:
        """Take out the command that this error answers, if any.

        `settled_to`: the last position, in samples, before which all audio may be settled.
        """
        command = None
        if event.error.code in _SEGMENT_ERRORS:
            # Results keep the order of the audio: with all audio before a flush settled and no text
            # for it, this was its answer.
            flushes = self._commands[FlushBuffer]
            command = flushes[0] if flushes and flushes[0].position <= settled_to else None
        elif event.error.code in _REFUSALS:
            # What we can check was checked before it was sent; the model's languages remain.
            named = [
                each
                for kind in (Configure, ContextUpdate)
                for each in self._commands[kind]
                if _names_language(each.message)
            ]
            command = min(named, key=lambda each: each.position, default=None)
        if command is not None:
            self._commands[type(command.message)].remove(command)
        return command


def _names_language(message: ClientMessage) -> bool:
    if isinstance(message, Configure):
        return message.config.get("language") is not None
    return isinstance(message, ContextUpdate) and message.language_context is not None
