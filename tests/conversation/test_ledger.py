"""The ledger against one mark per sample."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.conversation.ledger import Ledger, Outcome

RECEIVED = 200
SETTLEMENTS = st.lists(
    st.tuples(st.integers(0, RECEIVED), st.integers(0, RECEIVED), st.sampled_from(list(Outcome))),
    max_size=40,
)


@given(SETTLEMENTS)
def test_every_sample_has_the_first_outcome_it_was_given(
    settlements: list[tuple[int, int, Outcome]],
) -> None:
    ledger = Ledger()
    ledger.receive(RECEIVED)
    marks: list[Outcome | None] = [None] * RECEIVED
    committed = 0
    for start, end, outcome in settlements:
        fresh = [i for i in range(start, end) if marks[i] is None]
        assert ledger.settle(start, end, outcome) == len(fresh)
        for i in fresh:
            marks[i] = outcome
        assert ledger.committed >= committed
        committed = ledger.committed
        assert committed == (marks.index(None) if None in marks else RECEIVED)
    totals = ledger.totals()
    assert totals.transcribed == marks.count(Outcome.TRANSCRIBED)
    assert totals.silence == marks.count(Outcome.SILENCE)
    assert totals.discarded == marks.count(Outcome.DISCARDED)
    assert totals.pending == ledger.pending == marks.count(None)


def test_what_was_not_received_cannot_be_settled() -> None:
    ledger = Ledger()
    ledger.receive(10)
    with pytest.raises(ValueError, match="only 10 were received"):
        ledger.settle(0, 11, Outcome.SILENCE)


@given(
    st.lists(st.tuples(st.integers(1, 5_000), st.sampled_from([None, *Outcome])), max_size=30),
    st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]),
)
def test_the_milliseconds_add_up_and_each_is_within_one_of_the_truth(
    stretches: list[tuple[int, Outcome | None]], rate_hz: int
) -> None:
    ledger = Ledger()
    for n_samples, outcome in stretches:
        start = ledger.received
        ledger.receive(n_samples)
        if outcome is not None:
            ledger.settle(start, start + n_samples, outcome)
    totals = ledger.totals()
    account = totals.account(rate_hz)
    parts = (
        account.transcribed_ms, account.silence_ms, account.discarded_ms, account.unsettled_ms
    )  # fmt: skip
    assert account.received_ms == sum(parts) == totals.received * 1000 // rate_hz
    samples = (totals.transcribed, totals.silence, totals.discarded, totals.pending)
    for part_ms, n_samples in zip(parts, samples, strict=True):
        assert abs(part_ms - n_samples * 1000 / rate_hz) <= 1


def test_what_had_its_outcome_elsewhere_does_not_count() -> None:
    ledger = Ledger(received=100, committed=250)
    assert (ledger.received, ledger.counted, ledger.pending, ledger.committed) == (100, 0, 0, 250)
    ledger.receive(300)
    assert (ledger.counted, ledger.pending) == (150, 150)
    assert ledger.settle(100, 300, Outcome.SILENCE) == 50
    assert ledger.committed == 300
    assert ledger.settle(300, 400, Outcome.TRANSCRIBED) == 100
    totals = ledger.totals()
    assert (totals.received, totals.silence, totals.transcribed) == (150, 50, 100)
