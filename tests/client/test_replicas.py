from __future__ import annotations

from typing import Any

import pytest

from fasttalk_stt.client.replicas import Capacity, ReplicaTable, read_capacity


def report(**capacity: Any) -> dict[str, Any]:
    return {"status": "healthy", "capacity": capacity}


def capacity(room: float, *, draining: bool = False) -> Capacity:
    return Capacity(50, 0, room, draining)


def test_capacity_is_read_from_health() -> None:
    said = report(max_connections=50, active_connections=48, headroom_streams=7, draining=False)
    assert read_capacity(said).room == 2
    said = report(max_connections=50, active_connections=8, headroom_streams=7)
    assert read_capacity(said).room == 7
    assert read_capacity(report(max_connections=5, active_connections=1)).room == 4


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        report(),
        report(max_connections="many"),
        report(max_connections=float("inf"), active_connections=1),
        report(max_connections=5, active_connections=1, headroom_streams=float("nan")),
        "ok",
    ],
)
def test_what_holds_no_capacity_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="capacity"):
        read_capacity(said)


def test_the_least_loaded_comes_first_the_unknown_before_the_full() -> None:
    table = ReplicaTable(["a", "b", "c", "d"])
    table.healthy("a", capacity(0), 0)
    table.healthy("b", capacity(3), 0)
    table.healthy("d", capacity(9), 0)
    assert table.order(0) == ["d", "b", "c", "a"]


def test_what_was_sent_there_since_the_last_report_counts() -> None:
    table = ReplicaTable(["a", "b"])
    table.healthy("a", capacity(3), 0)
    table.healthy("b", capacity(2), 0)
    chosen = []
    for _ in range(5):
        chosen.append(table.order(0)[0])
        table.assigned(chosen[-1])
    assert chosen == ["a", "a", "b", "a", "b"]
    table.healthy("b", capacity(1), 1)
    assert table.order(1)[0] == "b"


def test_one_that_drains_or_failed_comes_last_for_a_while() -> None:
    table = ReplicaTable(["a", "b", "c"])
    for url, room in (("a", 9), ("b", 8), ("c", 7)):
        table.healthy(url, capacity(room, draining=url == "b"), 0)
    table.leave_out("a", 0, 3)
    assert table.order(1) == ["c", "a", "b"]
    assert table.is_out("a", 1)
    assert table.order(4) == ["a", "c", "b"]
    table.leave_out("a", 4)
    table.healthy("a", capacity(9), 5)
    assert table.order(5)[0] == "a", "a report says that it is well again"
    view = {each.url: (each.room, each.is_out) for each in table.view(5)}
    assert view == {"a": (9, False), "b": (8, True), "c": (7, False)}


@pytest.mark.parametrize("urls", [[], ["a", "a"]])
def test_none_and_twice_are_mistakes(urls: list[str]) -> None:
    with pytest.raises(ValueError, match="different URLs"):
        ReplicaTable(urls)
