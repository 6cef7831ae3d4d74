"""`fasttalk-stt models --fetch` with a hub of one model, no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from fasttalk_stt.cli import main
from fasttalk_stt.inference import models
from fasttalk_stt.inference.model_hub import DownloadError


class HubOfOne:
    """Has the model "distant" and keeps it in the cache that it is given."""

    def __init__(self, cache_directory: Path | None = None) -> None:
        assert cache_directory is not None
        self._folder = cache_directory / "distant"

    def names(self) -> tuple[str, ...]:
        return ("distant", "unreachable")

    def cached(self, name: str) -> Path | None:
        return self._folder if name == "distant" and self._folder.is_dir() else None

    def download(self, name: str) -> Path:
        if name != "distant":
            raise DownloadError("no route to host")
        self._folder.mkdir(parents=True)
        for file in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin"):
            (self._folder / file).write_text("{}", encoding="utf-8")
        return self._folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(models, "FasterWhisperHub", HubOfOne)
    monkeypatch.setenv("MODEL_CACHE", str(tmp_path))
    monkeypatch.setenv("DEVICE", "cpu")
    return tmp_path


def test_a_model_is_fetched_into_the_cache_once(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The second time `download` would fail: the directory is there.
    for _ in range(2):
        assert main(["models", "--fetch", "distant"]) == 0
        assert capsys.readouterr().out == f"{cache / 'distant'}\n"
    assert (cache / "distant" / "model.bin").is_file()


@pytest.mark.parametrize(
    ("name", "told"), [("unreachable", "no route to host"), ("wrong", "no model 'wrong'")]
)
def test_a_model_that_cannot_be_had_is_one_line(
    name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--fetch", name]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err
    assert shown.err.count("\n") == 1
