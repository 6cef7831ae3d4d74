"""Credentials from settings and files: what cannot be used is one line without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from fasttalk_stt.access.api_keys import digest
from fasttalk_stt.service.credentials import load_monitoring_token, load_policy
from fasttalk_stt.settings import Settings, SettingsError

SECRET = "hush"  # noqa: S105


def load_all(settings: Settings) -> None:
    load_policy(settings)
    load_monitoring_token(settings)


def test_nothing_set_is_open() -> None:
    assert load_policy(Settings()).is_open
    assert load_monitoring_token(Settings()) is None


@pytest.mark.parametrize(
    ("variable", "content", "problem"),
    [
        ("api_keys_file", b"[keys.a]\nsha256 = 'hush'\n", "keys.a"),
        ("api_keys_file", b"\xff\xfe hush", "is not UTF-8"),
        ("jwt_secret_file", b"hush\n", "has 4 bytes"),
        ("jwt_public_key_file", b"hush", "is not a public key"),
        ("jwt_jwks_file", b"hush", "is not a JWK set"),
        ("monitoring_token_file", b"hush", "has 4 characters"),
    ],
)
def test_bad_files(variable: str, content: bytes, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    settings = Settings(**{variable: file})
    with pytest.raises(SettingsError) as caught:
        load_all(settings)
    message = str(caught.value)
    assert message.startswith(f"{variable.upper()}={file}: ")
    assert problem in message
    assert SECRET not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (Settings(api_keys="a:hush"), "API_KEYS: the entry of 'a' is not hashed"),
        (Settings(jwt_secret=SECRET), "JWT_SECRET: has 4 bytes"),
        (Settings(monitoring_token=SECRET), "MONITORING_TOKEN: has 4 characters"),
    ],
)
def test_bad_values(settings: Settings, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        load_all(settings)
    assert SECRET not in str(caught.value)


def test_a_file_that_goes_away_is_told(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[keys.a]\nsha256 = "{digest("x")}"\n')
    settings = Settings(api_keys_file=file)
    assert not load_policy(settings).is_open
    file.unlink()
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_policy(settings)


def test_a_name_in_both_places_is_told(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[keys.a]\nsha256 = "{digest("x")}"\n')
    with pytest.raises(SettingsError, match="'a' is there twice"):
        load_policy(Settings(api_keys=f"a:{digest('y')}", api_keys_file=file))
