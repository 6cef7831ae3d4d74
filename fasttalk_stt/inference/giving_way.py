"""Recordings leave their seat to whoever has finished speaking, though not for ever.

Knows no engine; the `scheduler` tells it who waits. How often one gives way, `job` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fasttalk_stt.inference.job import Job
from fasttalk_stt.inference.policy import Priority


class Recordings:
    """The jobs of recordings that have a seat."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []

    @contextmanager
    def seated(self, batch: Sequence[Job]) -> Iterator[None]:
        """This batch has a seat; one that is of no recording is left alone."""
        jobs = [job for job in batch if job.urgency.priority is Priority.RECORDING]
        self._jobs += jobs
        try:
            yield
        finally:
            for job in jobs:
                # Once: having given way it may have another seat by now.
                self._jobs.remove(job)

    def make_way(self, waiting: Sequence[Job], free_seats: int) -> None:
        """Have them leave their seats where finals that wait would else find none."""
        n_finals = sum(job.urgency.priority is Priority.FINAL for job in waiting)
        if n_finals <= free_seats:
            return
        for job in self._jobs:
            job.give_way()


def apart(batch: list[Job]) -> list[Job]:
    """The batch, or the one of it that stays: a call that finals wait for shall be short."""
    return [job for job in batch if job.stays][:1] or batch
