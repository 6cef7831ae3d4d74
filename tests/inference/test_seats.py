"""How many calls run at the same time."""

from __future__ import annotations

import pytest

from fasttalk_stt.inference import seats
from fasttalk_stt.inference.seats import count_seats, threads_per_seat


@pytest.fixture(params=[1, 2, 3, 16])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    count = int(request.param)
    monkeypatch.setattr(seats, "_count_cores", lambda: count)
    return count


def test_a_gpu_has_one_seat(cores: int) -> None:
    assert count_seats("cuda", 0) == 1


def test_seats_and_their_threads_never_need_more_cores_than_there_are(cores: int) -> None:
    n_seats = count_seats("cpu", 0)
    assert n_seats == min(cores, 2)
    assert 1 <= threads_per_seat(n_seats) * n_seats <= cores


def test_whoever_asks_for_more_threads_gets_fewer_seats(cores: int) -> None:
    assert count_seats("cpu", cores) == 1
    assert count_seats("cpu", 10 * cores) == 1
