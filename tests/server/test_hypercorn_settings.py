from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fasttalk_stt.hypercorn_settings import DEFAULTS, load_hypercorn_settings, make_config
from fasttalk_stt.settings import SettingsError

ROOT = Path(__file__).parents[2]


def test_the_repositorys_file_repeats_the_defaults() -> None:
    values = tomllib.loads((ROOT / "hypercorn.toml").read_text())
    assert values.pop("bind") == ["0.0.0.0:8000"]
    assert values == DEFAULTS


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = make_config(load_hypercorn_settings(None))
    assert config.max_app_queue_size == 256
    assert config.websocket_max_message_size == 2**20
    assert config.read_timeout > config.websocket_ping_interval


def test_file_in_the_working_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hypercorn.toml").write_text("read_timeout = 30\n")
    monkeypatch.chdir(tmp_path)
    values = load_hypercorn_settings(None)
    assert values["read_timeout"] == 30
    assert values["max_app_queue_size"] == 256


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workers = 4", "expected 1"),
        ('worker_class = "asyncio"', "expected 'trio'"),
        ("read_timout = 3", "no setting 'read_timout'"),
        ('max_app_queue_size = "many"', "expected a"),
        ("= 3", "is not TOML"),
    ],
)
def test_bad_file_is_one_clear_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_hypercorn_settings(path)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_hypercorn_settings(tmp_path / "absent.toml")
