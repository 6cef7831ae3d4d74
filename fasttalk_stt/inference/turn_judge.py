"""Asks a blocking judge of turns off the event loop, one at a time, and not for long.

An answer that comes late is of no use: the silence has decided by then.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import structlog
import trio

from fasttalk_stt.inference.errors import EngineError

PATIENCE_S = 0.5
"""Behind this the utterance has ended or goes on. The model itself takes 20-80 ms."""
_THREADS = 1
"""It shares the processor with the decoder, whose answer is worth more."""

_log = structlog.get_logger(__name__)


class BlockingJudge(Protocol):
    def probability(self, samples: npt.NDArray[np.float32]) -> float:
        """How likely it is, 0-1, that the speaker is done."""


class TurnJudge:
    """One for all sessions of a server."""

    def __init__(self, judge: BlockingJudge) -> None:
        self._judge = judge
        self._limiter = trio.CapacityLimiter(_THREADS)

    async def probability(self, samples: npt.NDArray[np.float32]) -> float | None:
        """How likely it is, 0-1, that a speaker is done after float32[n_samples] at 16 kHz.

        None where the judge fails or takes too long. Leaving the wait leaves the thread to end by
        itself; until then it keeps its place under the limiter.
        """
        with trio.move_on_after(PATIENCE_S):
            try:
                return await trio.to_thread.run_sync(
                    self._judge.probability,
                    samples,
                    abandon_on_cancel=True,
                    limiter=self._limiter,
                )
            except EngineError as error:
                _log.warning("turn_judge_failed", error=str(error))
        return None
