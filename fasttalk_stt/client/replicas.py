"""Which of several servers a session should go to. Pure: it is given the time.

The one with the most room by its own `/health`, less what was sent there since; those that drain,
fail or asked to be left alone are left out for a while, and come last when nobody else is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, frozen

from fasttalk_stt.client.address import shown

FAILED_S = 10.0
"""How long a server that failed is left out, unless its `/health` says earlier that it is well."""


@frozen
class Capacity:
    """`capacity` of a server's `/health`."""

    max_connections: int
    active_connections: int
    headroom_streams: float
    draining: bool = False

    @property
    def room(self) -> float:
        """Sessions that it could take."""
        return min(self.headroom_streams, self.max_connections - self.active_connections)


def read_capacity(report: object) -> Capacity:
    """Read `/health`. Raises ValueError where it holds no capacity."""
    capacity = report.get("capacity") if isinstance(report, Mapping) else None
    if not isinstance(capacity, Mapping):
        raise ValueError("the health report has no capacity")
    try:
        maximum, active = int(capacity["max_connections"]), int(capacity["active_connections"])
        headroom: Any = capacity.get("headroom_streams")
        streams = float(maximum - active if headroom is None else headroom)
        if math.isnan(streams):
            raise ValueError("headroom_streams is no number")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the health report's capacity is {str(dict(capacity))[:200]}") from error
    return Capacity(
        max_connections=maximum,
        active_connections=active,
        headroom_streams=streams,
        draining=bool(capacity.get("draining", False)),
    )


@define
class _Replica:
    order: int
    capacity: Capacity | None = None
    assigned: int = 0
    out_until_s: float = 0.0
    error: str | None = None


@frozen
class ReplicaView:
    """What is known of one server. `url` is without user and query, which may be secret; `room` None:
    nothing yet; `error`: why the last look at its `/health` failed, None: it did not."""

    url: str
    room: float | None
    is_out: bool
    error: str | None = None


class ReplicaTable:
    """What is known of each server, and the order in which to try them."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises ValueError where there is no URL, or one twice."""
        if not urls or len(set(urls)) != len(urls):
            raise ValueError(f"expected one or more different URLs, got {len(urls)}")
        self._replicas = {url: _Replica(order) for order, url in enumerate(urls)}

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(self._replicas)

    def healthy(self, url: str, capacity: Capacity, now_s: float) -> None:
        """Its `/health` answered 200."""
        replica = self._replicas[url]
        replica.error = None
        replica.capacity = capacity
        replica.assigned = 0
        replica.out_until_s = now_s + FAILED_S if capacity.draining else now_s

    def leave_out(self, url: str, now_s: float, for_s: float = FAILED_S) -> None:
        """It failed, drains, or asked to come back later."""
        replica = self._replicas[url]
        replica.out_until_s = max(replica.out_until_s, now_s + for_s)

    def note_error(self, url: str, error: str) -> None:
        """Why nothing new is known of it."""
        self._replicas[url].error = error

    def assigned(self, url: str) -> None:
        """A session was sent there; counts until its next report."""
        self._replicas[url].assigned += 1

    def is_out(self, url: str, now_s: float) -> bool:
        return self._replicas[url].out_until_s > now_s

    def order(self, now_s: float) -> list[str]:
        """The servers to try, best first: those with room, the unknown, the full, those left out."""

        def key(url: str) -> tuple[int, float, int]:
            replica = self._replicas[url]
            if replica.out_until_s > now_s:
                return (3, replica.out_until_s, replica.order)
            if replica.capacity is None:
                return (1, replica.assigned, replica.order)
            room = replica.capacity.room - replica.assigned
            return (0 if room > 0 else 2, -room, replica.order)

        return sorted(self._replicas, key=key)

    def view(self, now_s: float) -> list[ReplicaView]:
        """All servers in the order given, for logs and dashboards."""
        return [
            ReplicaView(
                shown(url),
                None if each.capacity is None else each.capacity.room - each.assigned,
                each.out_until_s > now_s,
                each.error,
            )
            for url, each in self._replicas.items()
        ]
