from __future__ import annotations

import pytest

from fasttalk_stt.protocol.errors import SERVICE_UNAVAILABLE, ProtocolError
from fasttalk_stt.service.readiness import Readiness, ReadinessState


def test_loads_then_is_ready() -> None:
    readiness = Readiness()
    assert readiness.reasons() == ["the model is still loading"]
    with pytest.raises(ProtocolError) as caught:
        readiness.check_model()
    assert caught.value.kind is SERVICE_UNAVAILABLE
    readiness.move(ReadinessState.READY)
    assert readiness.is_ready
    assert readiness.reasons() == []
    readiness.check_model()


def test_model_that_loads_during_a_drain_does_not_end_it() -> None:
    readiness = Readiness()
    readiness.move(ReadinessState.DRAINING)
    readiness.move(ReadinessState.READY)
    assert readiness.state is ReadinessState.DRAINING


@pytest.mark.parametrize("state", [ReadinessState.READY, ReadinessState.DRAINING])
def test_failure_is_final(state: ReadinessState) -> None:
    readiness = Readiness()
    readiness.move(state)
    readiness.move(ReadinessState.FAILED)
    readiness.move(ReadinessState.READY)
    assert readiness.state is ReadinessState.FAILED
    with pytest.raises(ProtocolError):
        readiness.check_model()
