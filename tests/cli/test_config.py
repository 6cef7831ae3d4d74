"""`fasttalk-stt config`; that it masks secrets is in `test_keys`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fasttalk_stt import engines
from fasttalk_stt.cli import main
from fasttalk_stt.inference import device
from fasttalk_stt.settings import Settings


@pytest.fixture(autouse=True)
def nothing_set_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in Settings.variables():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(device, "has_cuda", lambda: False)


def test_what_auto_stands_for_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPUTE_TYPE", "float32")
    monkeypatch.setenv("MODEL_CACHE", "/models")
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(engines, "chosen_model", lambda **how: asked.append(how) or "tiny.en")
    assert main(["config"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert asked == [{"device": "auto", "cache_directory": Path("/models")}]
    assert lines["MODEL"] == ["auto", "(tiny.en)", "default"]
    assert lines["DEVICE"] == ["auto", "(cpu)", "default"]
    assert lines["COMPUTE_TYPE"] == ["float32", "environment"]
    assert lines["ALIGNER"][1] in {"(ctc)", "(attention)"}
    assert main(["config", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["DEVICE"] == {"value": "auto", "source": "default", "chosen": "cpu"}
    assert told["COMPUTE_TYPE"] == {"value": "float32", "source": "environment"}


def test_a_library_that_is_missing_hides_no_setting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise ImportError("libcuda.so.1 is broken")

    monkeypatch.setattr(device, "has_cuda", fail)
    assert main(["config"]) == 0
    written = capsys.readouterr()
    assert "libcuda.so.1 is broken" in written.err
    assert len(written.out.splitlines()) == len(Settings.variables())


def test_names_that_look_like_a_slip_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    assert main(["config", "--json"]) == 0
    written = capsys.readouterr()
    assert "API_KEY is no setting: was API_KEYS meant?" in written.err
    assert "secret" not in written.out + written.err
    json.loads(written.out)
