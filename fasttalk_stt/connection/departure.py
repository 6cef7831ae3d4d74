"""The ends of a connection that come from this side without a fault: a drain, or a reason to part."""

from __future__ import annotations

import trio

from fasttalk_stt.connection.listener import Listener
from fasttalk_stt.connection.live import Closing, Outgoing, Saying
from fasttalk_stt.connection.receiver import Receiver, no_resume
from fasttalk_stt.protocol.codec import error_message
from fasttalk_stt.protocol.errors import SERVER_DRAINING, CloseCode, ProtocolError

RESUME_WITHIN_S = 10.0
"""From the accept to `start_session` with `resume`, which a client sends at once."""
DRAIN_RESERVE_S = 2.0
"""Of the drain's time, this much is kept for the last results of an utterance that was cut."""


class Departure:
    """Waits for each of the reasons, and says good-bye. `outbox` is its own end of the channel."""

    def __init__(
        self,
        outbox: trio.MemorySendChannel[Outgoing],
        receiver: Receiver,
        listener: Listener,
        *,
        drain_timeout_s: float,
    ) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._listener = listener
        self._drain_timeout_s = drain_timeout_s
        self._drain_asked = trio.Event()
        self._parting_with: ProtocolError | None = None
        self._parting = trio.Event()

    def drain(self) -> None:
        """Finish: last results, `session_ended`, close with 1001."""
        self._drain_asked.set()

    def part(self, error: ProtocolError) -> None:
        """Tell the client that error and close, with its close code or 1008. The first reason holds."""
        if self._parting_with is None:
            self._parting_with = error
            self._parting.set()

    async def run(self) -> None:
        async with self._outbox, trio.open_nursery() as nursery:
            nursery.start_soon(self._drain_when_asked)
            nursery.start_soon(self._part_when_asked)
            nursery.start_soon(self._expect_resume)

    async def _drain_when_asked(self) -> None:
        await self._drain_asked.wait()
        self._receiver.drain()
        draining = ProtocolError(
            SERVER_DRAINING,
            "The server is shutting down. Last results follow; connect to another server.",
        )
        await self._outbox.send(Saying((error_message(draining),)))
        self._listener.drain()
        live = self._receiver.latest
        if live is not None:
            patience_s = max(self._drain_timeout_s - DRAIN_RESERVE_S, 0.0)
            with trio.move_on_after(patience_s):
                await live.ended.wait()
            self._listener.cut()
            await live.ended.wait()
        await self._outbox.send(Closing(CloseCode.GOING_AWAY, draining.kind.code))

    async def _part_when_asked(self) -> None:
        await self._parting.wait()
        if (error := self._parting_with) is not None:
            await self._outbox.send(Saying((error_message(error),)))
            code = error.kind.close_code or CloseCode.POLICY
            await self._outbox.send(Closing(code, error.kind.code))

    async def _expect_resume(self) -> None:
        """A place beyond the usual ones is not kept for somebody who does not use it."""
        if self._receiver.must_resume:
            await trio.sleep(RESUME_WITHIN_S)
            if self._receiver.must_resume:
                self.part(no_resume())
