"""A good client beside the attacks, and a look at the server's process."""

from __future__ import annotations

import json

import psutil
import trio
from attrs import define, field, frozen
from trio_websocket import open_websocket_url

from tools.hearing.statistics import percentiles

PING_EVERY_S = 0.05


@define
class Witness:
    """Pings the server on a connection of its own and notes how long each answer took."""

    url: str
    times_ms: list[float] = field(factory=list)

    async def watch(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Until cancelled; raises what a broken connection raises."""
        async with open_websocket_url(self.url) as websocket:
            task_status.started()
            while True:
                sent_s = trio.current_time()
                await websocket.send_message(json.dumps({"type": "ping", "id": "witness"}))
                await websocket.get_message()
                self.times_ms.append(1000 * (trio.current_time() - sent_s))
                await trio.sleep(PING_EVERY_S)

    def take(self) -> dict[str, float | int | None]:
        """The percentiles of what was noted since the last time."""
        times_ms, self.times_ms = self.times_ms, []
        return percentiles(times_ms, 50, 99)


@frozen
class Footprint:
    """What a server's process holds. `mib` is what it allocated: pages of libraries come and go as the system
    sees fit, and count for whoever has them alone."""

    mib: float
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        process = psutil.Process(pid)
        memory = process.memory_info()
        return cls(
            round((memory.rss - memory.shared) / 2**20, 1),
            process.num_fds(),
            process.num_threads(),
        )
