"""What to do about which error. Pass `on_error` to `connect` or to the pool's `session`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fasttalk_stt.client import (
    DisconnectedError,
    GpuError,
    GpuMemoryExhaustionError,
    SttError,
    TranscriptionFailedError,
    TranscriptionTimeoutError,
)


class FasttalkErrorHandler:
    """Tells the user what they need to know; the rest the client and the server do themselves."""

    def __init__(
        self,
        *,
        say_again: Callable[[], Awaitable[None]],
        note: Callable[[str], None],
    ) -> None:
        """`say_again` asks the user to repeat; `note` is told what happened, for the log."""
        self._say_again = say_again
        self._note = note

    async def on_error(self, error: SttError) -> None:
        match error:
            case DisconnectedError():
                # The client connects again with exponential back-off and sends the audio again.
                self._note("reconnecting")
            case GpuMemoryExhaustionError() | GpuError():
                # The server falls back to a smaller model by itself; this segment has no text.
                self._note("smaller model")
                await self._say_again()
            case TranscriptionTimeoutError() | TranscriptionFailedError():
                # The segment is skipped and the session goes on.
                self._note("skipped")
                await self._say_again()
            case _:
                self._note(error.code)
