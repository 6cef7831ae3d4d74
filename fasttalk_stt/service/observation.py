"""All that one server observes of itself: who is told what happens, and the task that looks around.

`metrics` and `dashboard` show what is kept here.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from prometheus_client import CollectorRegistry

from fasttalk_stt.inference.gpu_memory import GpuMemory
from fasttalk_stt.service.history import INTERVAL_S, History, Moment
from fasttalk_stt.service.metrics.stages import Stages
from fasttalk_stt.service.session_log import SessionLog
from fasttalk_stt.service.totals import Totals
from fasttalk_stt.telemetry.fanout import Fanout
from fasttalk_stt.telemetry.telemetry import Telemetry

LAG_EVERY_S = 1
"""How often a task asks to be woken, to see how late it is."""


class Observation:
    """`telemetry` is what the pipeline is given. `clock` is Unix time.

    With `transcripts` the texts of the latest sessions are kept; `others` are told, too. `registry` holds
    the histograms of `stages`; it is this server's own.
    """

    def __init__(
        self,
        *,
        transcripts: bool = False,
        others: Sequence[Telemetry] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.registry = CollectorRegistry()
        self.totals = Totals()
        self.stages = Stages(self.registry)
        self.history = History(self.totals)
        self.sessions = SessionLog(transcripts=transcripts, clock=clock)
        self.telemetry = Fanout((self.totals, self.stages, self.history, self.sessions, *others))
        self.gpu_memory: GpuMemory | None = None
        self.began_s = clock()

    async def run(
        self,
        look: Callable[[float], Moment],
        read_gpu_memory: Callable[[], GpuMemory | None] | None,
    ) -> None:
        """Look around until cancelled: at the loop each second, at all else each INTERVAL_S.

        `look` is given the time. `read_gpu_memory` blocks, and is called in a thread; None: no GPU.
        """
        limiter = trio.CapacityLimiter(1)
        while True:
            woken_s = trio.current_time()
            for _ in range(0, INTERVAL_S, LAG_EVERY_S):
                due_s = woken_s + LAG_EVERY_S
                await trio.sleep_until(due_s)
                woken_s = trio.current_time()
                self.telemetry.loop_lagged(woken_s - due_s)
            try:
                if read_gpu_memory is not None:
                    self.gpu_memory = await trio.to_thread.run_sync(
                        read_gpu_memory, limiter=limiter, abandon_on_cancel=True
                    )
                self.history.step(look(self.clock()))
            except Exception as error:  # noqa: BLE001 - a server must not die of watching itself
                self.telemetry.fail(error)


def process_bytes() -> int | None:
    """The memory that this process holds; None where the system does not tell as Linux does."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
