"""Silero VAD, with its real weights: they come with faster-whisper and load in a tenth of a second."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttalk_stt.audio.cascade import CascadeVad
from fasttalk_stt.audio.vad import VoiceFrame
from fasttalk_stt.audio.webrtc import WebRtcVad
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError
from fasttalk_stt.inference.silero import (
    ASSET,
    FRAME_SAMPLES,
    HOW_TO_INSTALL,
    SileroModel,
    SileroState,
    SileroVad,
)

SAMPLES = Path(__file__).parents[2] / "samples"
SENSITIVITY = 2


@pytest.fixture(scope="module")
def model() -> SileroModel:
    model = SileroModel()
    model.load()
    return model


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    samples, rate_hz = soundfile.read(SAMPLES / "hello_world.flac", dtype="float32")
    assert rate_hz == 16_000
    return samples


def probabilities(frames: list[VoiceFrame]) -> np.ndarray:
    return np.array([frame.probability for frame in frames])


def test_speech_is_voiced_and_what_is_not_speech_is_not(
    model: SileroModel, speech: np.ndarray
) -> None:
    heard = probabilities(SileroVad(model, SENSITIVITY).push(speech))
    assert (heard > 0.5).mean() > 0.5
    noise = np.random.default_rng(1).normal(0, 0.05, 48_000).astype(np.float32)
    assert probabilities(SileroVad(model, SENSITIVITY).push(noise)).max() < 0.5
    silence = np.zeros(48_000, dtype=np.float32)
    assert probabilities(SileroVad(model, SENSITIVITY).push(silence)).max() < 0.5


@pytest.mark.parametrize("n_pieces", [3, 131])
def test_the_pieces_do_not_change_the_judgement(
    model: SileroModel, speech: np.ndarray, n_pieces: int
) -> None:
    at_once = SileroVad(model, SENSITIVITY).push(speech)
    vad = SileroVad(model, SENSITIVITY)
    in_pieces = [f for piece in np.array_split(speech, n_pieces) for f in vad.push(piece)]
    assert [(f.start, f.end, f.level) for f in in_pieces] == [
        (f.start, f.end, f.level) for f in at_once
    ]
    assert probabilities(in_pieces) == pytest.approx(probabilities(at_once), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, 2_000), max_size=20))
def test_frames_follow_each_other_without_gap(model: SileroModel, sizes: list[int]) -> None:
    vad = SileroVad(model, SENSITIVITY)
    frames = [f for size in sizes for f in vad.push(np.zeros(size, dtype=np.float32))]
    assert [f.start for f in frames] == list(range(0, len(frames) * FRAME_SAMPLES, FRAME_SAMPLES))
    assert all(f.end - f.start == FRAME_SAMPLES for f in frames)
    assert len(frames) == sum(sizes) // FRAME_SAMPLES


def test_streams_on_one_model_do_not_hear_each_other(
    model: SileroModel, speech: np.ndarray
) -> None:
    alone = SileroVad(model, SENSITIVITY).push(speech)
    one, other = SileroVad(model, SENSITIVITY), SileroVad(model, SENSITIVITY)
    together = []
    for piece in np.array_split(speech, 50):
        together += one.push(piece)
        other.push(piece[::-1])
    assert probabilities(together) == pytest.approx(probabilities(alone), abs=1e-4)


def test_a_skip_forgets_what_was_heard(model: SileroModel, speech: np.ndarray) -> None:
    vad = SileroVad(model, SENSITIVITY)
    vad.push(speech[:10_000])
    vad.skip_to(32_000)
    frames = vad.push(speech)
    fresh = SileroVad(model, SENSITIVITY).push(speech)
    assert frames[0].start == 32_000
    assert probabilities(frames) == pytest.approx(probabilities(fresh), abs=1e-6)


def test_behind_a_gate_no_onset_is_later(model: SileroModel, speech: np.ndarray) -> None:
    heard = np.concatenate((np.zeros(64_000, dtype=np.float32), speech))
    alone = SileroVad(model, SENSITIVITY).push(heard)
    gated = CascadeVad(WebRtcVad(0), SileroVad(model, SENSITIVITY)).push(heard)
    assert [(f.start, f.end) for f in gated] == [(f.start, f.end) for f in alone]

    def onset(frames: list[VoiceFrame]) -> int:
        return next(frame.start for frame in frames if frame.probability > 0.87)

    # After seconds of silence the network is slower to believe than one that wakes.
    assert 64_000 < onset(gated) <= onset(alone)
    assert probabilities(gated)[:100].max() == 0.0


def test_the_rule_follows_sensitivity(model: SileroModel) -> None:
    vad = SileroVad(model, 0)
    lax = vad.rule(bot_is_speaking=False)
    vad.set_sensitivity(3)
    assert vad.rule(bot_is_speaking=False).bias > lax.bias


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        SileroModel(find_package=lambda _: None).load()
    assert HOW_TO_INSTALL in str(caught.value)


def test_a_package_without_the_weights_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        SileroModel(find_package=lambda _: tmp_path).load()
    assert ASSET in str(caught.value)


def test_weights_that_do_not_load_are_an_engine_error(tmp_path: Path) -> None:
    file = tmp_path / ASSET
    file.parent.mkdir()
    file.write_bytes(b"no network")
    with pytest.raises(EngineError, match="does not load"):
        SileroModel(find_package=lambda _: tmp_path).load()


def test_without_onnxruntime_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelNotFoundError, match="onnxruntime"):
        SileroModel().load()


def test_before_load_nothing_is_judged() -> None:
    with pytest.raises(EngineError, match="load"):
        SileroModel().judge(np.zeros((1, FRAME_SAMPLES), dtype=np.float32), SileroState.fresh())


def test_what_the_network_refuses_is_an_engine_error(model: SileroModel) -> None:
    with pytest.raises(EngineError, match="failed"):
        model.judge(np.zeros((1, 100), dtype=np.float32), SileroState.fresh())
