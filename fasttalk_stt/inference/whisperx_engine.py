"""The real engine: WhisperX behind the async interface of `engine`.

It only moves `whisperx_backend` into a worker thread under its own limiter, so that neither
importing, loading nor decoding ever blocks the event loop. It knows no sessions and keeps no queue:
`scheduler` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import trio

from fasttalk_stt.inference.aligning.realign import WordAligner
from fasttalk_stt.inference.attempts import AudioContext
from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend

T = TypeVar("T")

LEAVE_S = 10.0
"""How long a shutdown waits for a call that is running. A process that ends while the model's native
threads work is aborted instead of exiting; a call that hangs must not hold it for ever."""


class WhisperXEngine:
    """A WhisperX model as an `Engine`.

    The parameters are those of `WhisperXBackend`. `limiter` bounds the model calls of this
    process; by default the engine has one of its own with as many places as `seats`. Share one
    between engines on the same GPU.
    """

    def __init__(
        self,
        model: ResolvedModel,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
        beam_size: int | None = None,
        audio_context: AudioContext = "auto",
        aligner: WordAligner | None = None,
        limiter: trio.CapacityLimiter | None = None,
    ) -> None:
        self._backend = WhisperXBackend(
            model,
            device=device,
            compute_type=compute_type,
            cpu_threads=cpu_threads,
            beam_size=beam_size,
            audio_context=audio_context,
            aligner=aligner,
        )
        self._limiter = trio.CapacityLimiter(self.seats) if limiter is None else limiter

    @property
    def model_name(self) -> str:
        return self._backend.model.name

    @property
    def supported_languages(self) -> frozenset[str]:
        return self._backend.supported_languages

    @property
    def seats(self) -> int:
        return self._backend.seats

    @property
    def batch_size(self) -> int:
        return self._backend.batch_size

    @property
    def request_s(self) -> float:
        return self._backend.request_s

    async def load(self) -> None:
        """Import WhisperX, load the weights and warm up: seconds, in a worker thread.

        Raises EngineError when the model does not work, GpuError when the GPU does not.
        Cancelling is as for `decode`.
        """
        await self._in_thread(self._backend.load)

    async def unload(self) -> None:
        """Let go of the model and of its memory, once no call uses it any more."""
        self._backend.unload()

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """See `WhisperXBackend.decode`.

        Cancelling, as at shutdown, waits up to LEAVE_S for the computation, then leaves it behind.
        """
        return await self._in_thread(partial(self._backend.decode, list(requests)))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        running = _Running(call, trio.lowlevel.current_trio_token())
        try:
            return await trio.to_thread.run_sync(
                running.run, limiter=self._limiter, abandon_on_cancel=True
            )
        finally:
            if running.is_under_way:
                # The thread keeps its place in the limiter until it ends.
                with trio.move_on_after(LEAVE_S, shield=True):
                    await running.ended.wait()


class _Running(Generic[T]):
    """A call in a thread, whose end can be waited for after the wait for its result was left."""

    def __init__(self, call: Callable[[], T], token: trio.lowlevel.TrioToken) -> None:
        self._call = call
        self._token = token
        self.ended = trio.Event()
        self.is_under_way = False

    def run(self) -> T:
        self.is_under_way = True
        try:
            return self._call()
        finally:
            self.is_under_way = False
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self.ended.set)
