"""The real engine: WhisperX behind the async interface of `engine`.

It only moves `whisperx_backend` into a worker thread under its own limiter, so that neither
importing, loading nor decoding ever blocks the event loop. It knows no sessions and keeps no queue:
`scheduler` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend


class WhisperXEngine:
    """A WhisperX model as an `Engine`.

    The parameters are those of `WhisperXBackend`. `limiter` bounds the model calls of this
    process; by default the engine has one of its own with a single seat, since the model uses the
    whole device anyway. Share one between engines on the same GPU.
    """

    def __init__(
        self,
        model: ResolvedModel,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
        beam_size: int | None = None,
        limiter: trio.CapacityLimiter | None = None,
    ) -> None:
        self._backend = WhisperXBackend(
            model,
            device=device,
            compute_type=compute_type,
            cpu_threads=cpu_threads,
            beam_size=beam_size,
        )
        self._limiter = trio.CapacityLimiter(1) if limiter is None else limiter

    @property
    def model_name(self) -> str:
        return self._backend.model.name

    @property
    def supported_languages(self) -> frozenset[str]:
        return self._backend.supported_languages

    async def load(self) -> None:
        """Import WhisperX, load the weights and warm up: seconds, in a worker thread.

        Raises EngineError when the model does not work, GpuError when the GPU does not.
        Cancelling, as at shutdown, leaves the thread behind; it keeps its seat until it ends.
        """
        await trio.to_thread.run_sync(
            self._backend.load, limiter=self._limiter, abandon_on_cancel=True
        )

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """See `WhisperXBackend.decode`. Cancelling, as at shutdown, abandons the computation."""
        return await trio.to_thread.run_sync(
            self._backend.decode,
            list(requests),
            limiter=self._limiter,
            abandon_on_cancel=True,
        )
