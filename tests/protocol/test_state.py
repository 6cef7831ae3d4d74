"""The connection's state machine: its table, and where observed facts lead."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.protocol.state import (
    TRANSITIONS,
    ConnectionState,
    IllegalTransitionError,
    StateMachine,
    Transition,
)

S, T = ConnectionState, Transition


def machine_in(state: ConnectionState) -> StateMachine:
    ways = {
        S.CONNECTING: [],
        S.ACTIVE: [T.ACCEPT],
        S.BUFFERING: [T.ACCEPT, T.OPEN_UTTERANCE],
        S.PROCESSING: [T.ACCEPT, T.START_REQUEST],
        S.DISCONNECTING: [T.ACCEPT, T.DISCONNECT],
        S.ERROR: [T.ACCEPT, T.FAIL],
    }
    machine = StateMachine()
    for transition in ways[state]:
        machine.apply(transition)
    assert machine.state is state
    return machine


@pytest.mark.parametrize(("state", "transition"), list(product(S, T)))
def test_every_pair_goes_where_the_table_says_or_raises(
    state: ConnectionState, transition: Transition
) -> None:
    machine = machine_in(state)
    target = TRANSITIONS.get((state, transition))
    if target is None:
        with pytest.raises(IllegalTransitionError, match=transition.value):
            machine.apply(transition)
        assert machine.state is state
    else:
        machine.apply(transition)
        assert machine.state is target


def test_nothing_leaves_the_error_state_and_only_a_fault_leaves_disconnecting() -> None:
    assert not [t for (state, t) in TRANSITIONS if state is S.ERROR]
    assert [t for (state, t) in TRANSITIONS if state is S.DISCONNECTING] == [T.FAIL]


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_observed_facts_decide_the_state_and_requests_win(
    facts: list[tuple[bool, bool]],
) -> None:
    machine = machine_in(S.ACTIVE)
    for utterance_open, requests_outstanding in facts:
        machine.observe(utterance_open=utterance_open, requests_outstanding=requests_outstanding)
        if requests_outstanding:
            assert machine.state is S.PROCESSING
        elif utterance_open:
            assert machine.state is S.BUFFERING
        else:
            assert machine.state is S.ACTIVE


@pytest.mark.parametrize("state", [S.CONNECTING, S.DISCONNECTING, S.ERROR])
def test_observing_moves_no_connection_that_does_not_serve(state: ConnectionState) -> None:
    machine = machine_in(state)
    machine.observe(utterance_open=True, requests_outstanding=True)
    assert machine.state is state
