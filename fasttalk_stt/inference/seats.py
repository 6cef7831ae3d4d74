"""How many model calls run at the same time, and with how many threads each."""

from __future__ import annotations

import os

from fasttalk_stt.inference.device import is_gpu

MOST_CPU_SEATS = 2
"""On a CPU. Two calls on a core each take hardly longer than one alone, and one call on two cores is
slower than on one (3 s of speech, tiny.en, 2 cores: 136 ms on one thread, 180 ms on two), since a
decoder's steps are too small to share. More seats would only take cores from each."""

GPU_BATCH = 256
MOST_THREADS = 4
"""What faster-whisper takes by default."""


def count_seats(device: str, cpu_threads: int) -> int:
    """The seats of a model on this machine; `device` and `cpu_threads` as in the settings.

    A GPU has one, which a batch fills.
    """
    if is_gpu(device):
        return 1
    return min(max(_count_cores() // max(cpu_threads, 1), 1), MOST_CPU_SEATS)


def best_batch(device: str) -> int:
    """The most requests that are worth decoding together; `device` as in the settings.

    A processor's seats are filled by one: 4 or 8 segments together take as long as one after another,
    and whoever comes meanwhile waits for all of them (tiny.en, beam 3: 152 ms a segment alone, 178 of 4,
    164 of 8).
    """
    return GPU_BATCH if is_gpu(device) else 1


def threads_per_seat(seats: int) -> int:
    """The processor's cores, shared out, up to where more gain nothing."""
    return min(max(_count_cores() // seats, 1), MOST_THREADS)


def _count_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
