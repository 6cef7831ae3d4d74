from __future__ import annotations

import math
import re
from pathlib import Path

import attrs
import pytest

from fasttalk_stt.settings import MASK, Settings, SettingsError

SPECIFIED_DEFAULTS = {
    "WEBSOCKET_HOST": "0.0.0.0",  # noqa: S104
    "WEBSOCKET_PORT": 8000,
    "MONITORING_PORT": 9091,
    "WEBSOCKET_MAX_CONNECTIONS": 50,
    "TRANSCRIPTION_FAILURE_THRESHOLD": 5,
    "GPU_FAILURE_THRESHOLD": 3,
    "MAX_SESSION_ERRORS": 10,
    "BUFFER_DURATION": 2.0,
    "MIN_AUDIO_LENGTH": 0.5,
    "MAX_SILENCE_DURATION": 2.0,
    "LANGUAGE": None,
    "ENDPOINT_SILENCE_MS": 500,
    "VAD_SENSITIVITY": 2,
    "MAX_PENDING_SECONDS": 60.0,
    "MODEL": "auto",
    "DEVICE": "auto",
    "COMPUTE_TYPE": "auto",
    "BATCH_SIZE": 16,
    "TRANSCRIPTION_TIMEOUT": 10.0,
    "DRAIN_TIMEOUT": 20.0,
    "MAX_SESSION_SECONDS": 14400.0,
    "API_KEYS": None,
    "ALLOWED_ORIGINS": None,
    "CONNECTION_RATE_LIMIT": 60,
    "MESSAGE_RATE_LIMIT": 200,
}


def test_defaults_are_those_of_the_contract() -> None:
    effective = {each.variable: each.value for each in Settings().effective({})}
    assert {name: effective[name] for name in SPECIFIED_DEFAULTS} == SPECIFIED_DEFAULTS


def test_every_variable_stands_in_the_page_of_settings() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    told = re.findall(
        r"`([A-Z_]+)`",
        "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `")),
    )
    variables = [attribute.metadata["variable"] for attribute in attrs.fields(Settings)]
    assert sorted(told) == sorted(variables)


def test_the_page_of_settings_has_the_defaults() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    effective = {each.variable: each.value for each in Settings().effective({})}
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]*) \|", page, re.MULTILINE)
    assert len(rows) > 40
    for variable, default in rows:
        value = effective[variable]
        if value is None or value == ():
            assert default == "unset" or variable in {"MODEL_CACHE", "MODEL_FALLBACKS", "LOG_FILE"}
        elif isinstance(value, bool):
            assert default == str(value).lower(), variable
        elif isinstance(value, int | float):
            assert float(default) == value, variable
        else:
            assert default == value, variable


def test_every_attribute_is_named_after_its_variable() -> None:
    for attribute in attrs.fields(Settings):
        stem = attribute.metadata["variable"].lower().removesuffix("_seconds")
        assert attribute.name.startswith(stem)


def test_values_are_read_with_their_types() -> None:
    settings = Settings.from_environment(
        {
            "WEBSOCKET_PORT": " 0 ",
            "BUFFER_DURATION": "1.5",
            "LANGUAGE": "pt-BR",
            "DEVICE": "CUDA",
            "MODEL_FALLBACKS": "small, base",
            "MODEL_CACHE": "/var/cache/models",
            "PATH": "/usr/bin",
        }
    )
    assert settings == Settings(
        websocket_port=0,
        buffer_duration_s=1.5,
        language="pt-BR",
        device="cuda",
        model_fallbacks=("small", "base"),
        model_cache=Path("/var/cache/models"),
    )


@pytest.mark.parametrize("text", ["auto", "null", "", "  "])
def test_language_can_be_detected_explicitly(text: str) -> None:
    assert Settings.from_environment({"LANGUAGE": text}).language is None


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("WEBSOCKET_PORT", "65536", "0-65535"),
        ("WEBSOCKET_PORT", "http", "0-65535"),
        ("WEBSOCKET_PORT", "80.5", "0-65535"),
        ("WEBSOCKET_MAX_CONNECTIONS", "0", "1-10000"),
        ("BUFFER_DURATION", "0.4", "0.5-20"),
        ("BUFFER_DURATION", "nan", "0.5-20"),
        ("DRAIN_TIMEOUT", "inf", "0-600"),
        ("MAX_PENDING_SECONDS", "29", "30-600"),
        ("MAX_PENDING_SECONDS", "601", "30-600"),
        ("ENDPOINT_SILENCE_MS", "99", "100-5000"),
        ("VAD_SENSITIVITY", "4", "0-3"),
        ("LANGUAGE", "english please", "en"),
        ("DEVICE", "tpu", "auto, cpu, cuda"),
        ("COMPUTE_TYPE", "int4", "int8"),
        ("MODEL_FALLBACKS", "small,,base", "commas"),
        ("LOG_FORMAT", "xml", "json"),
        ("ALLOWED_ORIGINS", "app.example.com", "https://app.example.com"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path", "https://app.example.com"),
        ("TRUSTED_PROXIES", "proxy.internal", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/8"),
        ("CONNECTION_RATE_LIMIT", "-1", "0-1000000 a minute"),
    ],
)
def test_bad_value_is_one_line_with_variable_value_and_what_is_allowed(
    variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: value})
    message = str(caught.value)
    assert f"{variable}={value}" in message
    assert allowed in message
    assert "\n" not in message


@pytest.mark.parametrize("value", [math.nan, -1.0, True, "2"])
def test_values_are_checked_when_made_by_hand_too(value: object) -> None:
    with pytest.raises(SettingsError, match="BUFFER_DURATION"):
        Settings(buffer_duration_s=value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"API_KEYS_FILE=.*keys\.toml is not allowed"):
        Settings.from_environment({"API_KEYS_FILE": str(tmp_path / "keys.toml")})


def test_ports_must_differ() -> None:
    with pytest.raises(SettingsError, match="MONITORING_PORT=8000"):
        Settings.from_environment({"MONITORING_PORT": "8000"})
    assert Settings(websocket_port=0, monitoring_port=0).websocket_port == 0


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"JWT_ALGORITHM": "HS256", "JWT_SECRET": "x" * 32},
            "JWT_ALGORITHM is set, but there is no",
        ),
        ({"JWT_AUDIENCE": "stt"}, "JWT_AUDIENCE is set, but no key to check tokens with"),
        (
            {"JWT_SECRET": "x" * 32, "JWT_JWKS_FILE": "keys.json"},
            "JWT_SECRET and JWT_JWKS_FILE are set together",
        ),
        (
            {"MONITORING_TOKEN": "x" * 32, "MONITORING_TOKEN_FILE": "token"},
            "MONITORING_TOKEN and MONITORING_TOKEN_FILE are set together",
        ),
    ],
)
def test_a_promise_of_protection_that_is_not_kept_stops_the_start(
    environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        Settings.from_environment(environ)
    Settings.from_environment(dict.fromkeys(environ, ""))


def test_secrets_are_shown_nowhere() -> None:
    environ = {name: f"secret-of-{name}" for name in ("API_KEYS", "JWT_SECRET", "MONITORING_TOKEN")}
    settings = Settings.from_environment(environ)
    assert settings.jwt_secret == "secret-of-JWT_SECRET"  # noqa: S105
    told = {each.variable: each.value for each in settings.effective(environ)}
    assert [told[name] for name in environ] == [MASK] * 3
    assert "secret-of" not in repr(settings)


def test_source_of_each_value_is_told() -> None:
    environ = {"BATCH_SIZE": "4"}
    effective = Settings.from_environment(environ).effective(environ)
    told = {each.variable: (each.value, each.source) for each in effective}
    assert told["BATCH_SIZE"] == (4, "environment")
    assert told["VAD_SENSITIVITY"] == (2, "default")
