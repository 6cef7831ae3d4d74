"""Making the configured engine, before any model is loaded."""

from __future__ import annotations

import pytest

from fasttalk_stt import engines
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.settings import Settings


def test_a_gpu_that_is_demanded_and_not_there_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "has_cuda", lambda: False)
    with pytest.raises(EngineError, match="DEVICE=cuda: no GPU can be used here") as caught:
        engines.make_engine(Settings(device="cuda"))
    assert "\n" not in str(caught.value)
