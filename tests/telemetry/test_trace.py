from __future__ import annotations

import pytest

from fasttalk_stt.telemetry.trace import current_traceparent, following

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize("header", [f"00-{TRACE}-{PARENT}-01", f" 01-{TRACE}-{PARENT}-00-more "])
def test_a_clients_trace_goes_on(header: str) -> None:
    with following(header) as trace_id:
        assert trace_id == TRACE
        assert current_traceparent() == header.strip()
    assert current_traceparent() is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE,
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01more",
        f"00-{TRACE}-{PARENT}-01-more",
        f"01-{TRACE}-{PARENT}-01-{'x' * 500}",
        f"00-{TRACE}-short-01",
    ],
)
def test_what_names_none_gets_one_of_its_own(header: str | None) -> None:
    with following(header) as first, following(header) as second:
        assert first != second
        assert len(first) == len(second) == 32
        assert TRACE not in (first, second)
        assert current_traceparent() is None
