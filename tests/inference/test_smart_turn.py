"""Smart Turn without its weights: what is not installed, what is another file, what it is fed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError
from fasttalk_stt.inference.smart_turn import (
    HOW_TO_INSTALL,
    SMART_TURN,
    WINDOW_SAMPLES,
    SmartTurn,
    TurnModelFile,
    last_window,
    normalised,
)

WEIGHTS = b"no real weights"
MODEL_FILE = TurnModelFile("turns", "data/model.onnx", hashlib.sha256(WEIGHTS).hexdigest())


def finder(folder: Path | None) -> Callable[[str], Path | None]:
    return lambda _: folder


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.onnx").write_bytes(WEIGHTS)
    return tmp_path


def test_the_file_is_found_and_checked(installed: Path) -> None:
    assert MODEL_FILE.locate(finder(installed)) == installed / "data" / "model.onnx"


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        SmartTurn(find_package=finder(None)).load()
    assert HOW_TO_INSTALL in str(caught.value)


def test_a_package_without_the_file_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="not installed"):
        SmartTurn(find_package=finder(tmp_path)).load()


def test_another_file_is_refused(installed: Path) -> None:
    (installed / "data" / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelNotFoundError, match=r"expected .*--force-reinstall"):
        SmartTurn(MODEL_FILE, finder(installed)).load()


def test_a_file_that_is_no_model_is_an_engine_error(installed: Path) -> None:
    with pytest.raises(EngineError, match="does not load"):
        SmartTurn(MODEL_FILE, finder(installed)).load()


def test_it_must_be_loaded_first() -> None:
    with pytest.raises(EngineError, match="not loaded"):
        SmartTurn().probability(np.zeros(16_000, dtype=np.float32))


def test_the_pin_in_the_advice_is_the_one_that_is_installed() -> None:
    repository = Path(__file__).parents[2]
    package = HOW_TO_INSTALL.split()[-1]
    assert package in (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f'"{package}"' in (repository / "tools" / "bootstrap.py").read_text(encoding="utf-8")
    assert SMART_TURN.inside.endswith(".onnx")


@given(st.integers(0, 3 * WINDOW_SAMPLES))
def test_the_window_keeps_the_end_and_pads_the_front(n_samples: int) -> None:
    samples = np.arange(1, n_samples + 1, dtype=np.float32)
    window = last_window(samples)
    kept = min(n_samples, WINDOW_SAMPLES)
    assert window.shape == (WINDOW_SAMPLES,)
    assert window.dtype == np.float32
    assert not window[: WINDOW_SAMPLES - kept].any()
    assert np.array_equal(window[WINDOW_SAMPLES - kept :], samples[n_samples - kept :])


@given(st.floats(0.01, 1.0), st.floats(-0.5, 0.5))
def test_loudness_and_offset_do_not_matter(gain: float, offset: float) -> None:
    samples = np.random.default_rng(1).normal(size=4_000).astype(np.float32)
    shifted = (gain * samples + offset).astype(np.float32)
    assert np.allclose(normalised(shifted), normalised(samples), atol=0.01)


def test_digital_silence_stays_finite() -> None:
    assert not normalised(np.zeros(WINDOW_SAMPLES, dtype=np.float32)).any()
