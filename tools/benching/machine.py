"""What a server and its clients take of the machine: processor time and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from attrs import define


@define
class Usage:
    """Filled at the end of `measured`. Cores are processor seconds a second."""

    server_cores: float = 0.0
    clients_cores: float = 0.0
    server_mib: float = 0.0


@contextmanager
def measured(server_pids: Sequence[int]) -> Iterator[Usage]:
    """Measure this process and the servers' over the block."""
    usage = Usage()
    servers, clients = [psutil.Process(pid) for pid in server_pids], [psutil.Process()]
    began_s, server_s, clients_s = time.monotonic(), _cpu_s(servers), _cpu_s(clients)
    yield usage
    passed_s = time.monotonic() - began_s
    usage.server_cores = round((_cpu_s(servers) - server_s) / passed_s, 3)
    usage.clients_cores = round((_cpu_s(clients) - clients_s) / passed_s, 3)
    usage.server_mib = round(sum(each.memory_info().rss for each in servers) / 2**20, 1)


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))


def describe() -> dict[str, Any]:
    """The machine, for the head of a report."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": _gpu(),
    }


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), None)


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
