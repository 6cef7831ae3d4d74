"""What is decoded next, and what together."""

from __future__ import annotations

import math

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.policy import (
    COMMIT_PATIENCE_S,
    PARTIAL_PATIENCE_S,
    RECORDINGS_AT_A_TIME,
    SAME_LENGTH_S,
    Priority,
    Urgency,
    next_batch,
    patient_until_s,
)


@frozen
class Waiting:
    priority: Priority = Priority.FINAL
    duration_s: float = 2.0
    since_s: float = 0.0

    @property
    def urgency(self) -> Urgency:
        return Urgency(self.priority)


def chosen(
    jobs: list[Waiting], *, now_s: float = 0.0, seats: int = 1, free: int = 1, size: int = 16
) -> list[Waiting]:
    return next_batch(jobs, now_s=now_s, seats=seats, free_seats=free, batch_size=size)


def test_the_most_urgent_go_first_and_together() -> None:
    draft, eager, final = (Waiting(p) for p in (Priority.COMMIT, Priority.EAGER, Priority.FINAL))
    another = Waiting(Priority.FINAL, duration_s=3.0)
    assert chosen([draft, eager, final, another]) == [final, another]
    assert chosen([draft, eager]) == [eager]


def test_what_is_much_longer_is_not_decoded_together() -> None:
    short, long = Waiting(duration_s=1.0), Waiting(duration_s=SAME_LENGTH_S + 4)
    assert chosen([short, long]) == [short]
    assert chosen([long, short]) == [long]
    assert chosen([long, Waiting(duration_s=SAME_LENGTH_S + 3)])[1:] != []


def test_a_batch_is_shared_out_over_the_seats_and_bounded() -> None:
    jobs = [Waiting(duration_s=1.0 + i / 100) for i in range(5)]
    assert chosen(jobs, seats=2, free=2) == jobs[:3]
    assert chosen(jobs, size=2) == jobs[:2]


@pytest.mark.parametrize(
    ("priority", "patience_s"),
    [(Priority.COMMIT, COMMIT_PATIENCE_S), (Priority.PARTIAL, PARTIAL_PATIENCE_S)],
)
def test_looks_leave_the_last_seat_free_for_a_while(priority: Priority, patience_s: float) -> None:
    look = Waiting(priority)
    assert chosen([look], seats=2, free=1) == []
    assert chosen([look], seats=2, free=1, now_s=patience_s - 0.01) == []
    assert chosen([look], seats=2, free=1, now_s=patience_s) == [look]
    assert chosen([look], seats=2, free=2) == [look]
    assert chosen([look], seats=1, free=1) == [look]


def test_recordings_have_what_streams_leave_and_never_the_last_seat() -> None:
    recordings = [Waiting(Priority.RECORDING, duration_s=20.0) for _ in range(3)]
    look = Waiting(Priority.PARTIAL)
    assert chosen([*recordings, look], seats=2, free=2) == [look]
    assert chosen(recordings, seats=2, free=1, now_s=1e9) == []
    assert patient_until_s(recordings) == math.inf
    assert chosen(recordings, seats=2, free=2) == recordings[:RECORDINGS_AT_A_TIME]
    assert chosen(recordings, seats=1, free=1) == recordings[:RECORDINGS_AT_A_TIME]


@given(
    jobs=st.lists(
        st.builds(
            Waiting,
            priority=st.sampled_from(Priority),
            duration_s=st.floats(0.1, 30.0),
        ),
        max_size=30,
        unique_by=id,
    ),
    seats=st.integers(1, 4),
    size=st.integers(1, 64),
)
def test_somebody_is_always_chosen_and_the_oldest_of_the_most_urgent_is_among_them(
    jobs: list[Waiting], seats: int, size: int
) -> None:
    batch = chosen(jobs, seats=seats, free=seats, size=size)
    assert len(batch) <= size
    if not jobs:
        assert batch == []
        return
    most_urgent = min(job.priority for job in jobs)
    assert batch[0] is next(job for job in jobs if job.priority == most_urgent)
    assert {job.priority for job in batch} == {most_urgent}
