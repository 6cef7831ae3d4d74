"""How much memory of the GPU is in use. Blocks for a moment: ask from a thread."""

from __future__ import annotations

import sys

from attrs import frozen


@frozen
class GpuMemory:
    """Of the GPU that the model is on; other processes' share is in `used_bytes`."""

    used_bytes: int
    total_bytes: int


def read_gpu_memory() -> GpuMemory | None:
    """Ask the driver; None without a GPU, or before the model's libraries were loaded."""
    # Loading them takes seconds, in which a part of them is there already; the engine does it.
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_available():
        return None
    free_bytes, total_bytes = cuda.mem_get_info()
    return GpuMemory(used_bytes=total_bytes - free_bytes, total_bytes=total_bytes)
