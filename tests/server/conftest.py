"""Servers are other processes here: what is said is seen at the clients' ends."""

from __future__ import annotations

import pytest

from tests.watch import Watch


@pytest.fixture(autouse=True)
def watch_sockets(watch: Watch) -> None:
    watch.sockets()
