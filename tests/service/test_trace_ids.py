from __future__ import annotations

import pytest

from fasttalk_stt.service.trace_ids import trace_id_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "header",
    [f"00-{TRACE}-00f067aa0ba902b7-01", f" 01-{TRACE}-00f067aa0ba902b7-00-more "],
)
def test_a_clients_trace_goes_on(header: str) -> None:
    assert trace_id_of(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE,
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01more",
        f"00-{TRACE}-short-01",
    ],
)
def test_what_names_none_gets_one_of_its_own(header: str | None) -> None:
    first, second = trace_id_of(header), trace_id_of(header)
    assert first != second
    assert len(first) == len(second) == 32
    assert TRACE not in (first, second)
