from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.client.backoff import Backoff
from fasttalk_stt.client.errors import ConnectError, DisconnectedError, SttError, refused


def busy(wait_s: float | None) -> SttError:
    return refused("busy", status=503, code=None, retry_after_s=wait_s)


LOST = ConnectError("lost")


@given(st.floats(0, 1))
def test_three_tries_each_twice_as_late(jitter: float) -> None:
    backoff = Backoff(0.0, jitter=lambda: jitter)
    waits = [backoff.wait_s(LOST, 0.0) for _ in range(4)]
    assert waits[3] is None
    for wait_s, full_s in zip(waits[:3], (0.5, 1.0, 2.0), strict=True):
        assert wait_s is not None
        assert full_s / 2 <= wait_s <= full_s


def test_a_busy_server_uses_up_patience_alone() -> None:
    backoff = Backoff(0.0, patience_s=60, jitter=lambda: 0.0)
    assert [backoff.wait_s(busy(20.0), at_s) for at_s in (0, 20, 40)] == [20, 20, 20]
    assert backoff.tries == 0
    assert backoff.wait_s(busy(20.0), 41) is None
    assert backoff.wait_s(LOST, 41) == 0.5
    assert backoff.wait_s(LOST, 60) is None


def test_a_busy_server_that_names_no_wait_uses_up_tries() -> None:
    backoff = Backoff(0.0, max_tries=1)
    assert backoff.wait_s(busy(None), 0) is not None
    assert backoff.wait_s(busy(None), 0) is None


def test_a_server_that_says_at_once_is_not_asked_in_a_loop() -> None:
    assert Backoff(0.0, jitter=lambda: 0.0).wait_s(busy(0.0), 0) == 0.25


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_for_good_is_final(status: int) -> None:
    error = refused("no", status=status, code=None, retry_after_s=5.0)
    assert Backoff(0.0).wait_s(error, 0) is None


@pytest.mark.parametrize(
    ("code", "again"),
    [
        *((code, True) for code in (None, 1001, 1006, 1011, 1013)),
        *((code, False) for code in (1000, 1003, 1008, 1009)),
    ],
)
def test_which_close_codes_are_worth_another_try(code: int | None, again: bool) -> None:
    wait_s = Backoff(0.0).wait_s(DisconnectedError("", close_code=code), 0)
    assert (wait_s is not None) == again


def test_tries_of_an_outage_that_was_not_over_count() -> None:
    backoff = Backoff(0.0, tries=2)
    assert backoff.wait_s(LOST, 0) is not None
    assert backoff.wait_s(LOST, 0) is None
