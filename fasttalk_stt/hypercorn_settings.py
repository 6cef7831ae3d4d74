"""Hypercorn's own settings: the defaults this service needs, and `hypercorn.toml` on top.

The file in the repository repeats the defaults with the reason for each (a test compares them), so
an installed package without that file behaves the same. Host and ports are not taken from here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypercorn.config import Config

from fasttalk_stt.settings import SettingsError

DEFAULT_FILE = Path("hypercorn.toml")

DEFAULTS: dict[str, Any] = {
    "worker_class": "trio",
    "workers": 1,
    "max_app_queue_size": 256,
    "websocket_max_message_size": 1_048_576,
    "websocket_ping_interval": 20,
    "read_timeout": 60,
    "keep_alive_timeout": 5,
    "h11_max_incomplete_size": 16_384,
    "graceful_timeout": 1,
    "include_server_header": False,
    "logconfig_dict": {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {"hypercorn.error": {"handlers": [], "propagate": True}},
    },
}

# What the server is built on; another value would be ignored or break it.
_FIXED = {"worker_class": "trio", "workers": 1}


def load_hypercorn_settings(path: Path | None) -> dict[str, Any]:
    """Read the defaults overlaid with `path`, or with ./hypercorn.toml where there is one.

    Raises SettingsError, in one line, for a file that cannot be read, a key that Hypercorn does
    not have, or a value of another type than its default's.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return dict(DEFAULTS)
        path = DEFAULT_FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error
    for key, value in values.items():
        _check(path, key, value)
    return DEFAULTS | values


def make_config(values: dict[str, Any]) -> Config:
    """Make a Hypercorn configuration; every server needs its own."""
    return Config.from_mapping(values)


def _check(path: Path, key: str, value: object) -> None:
    if key.startswith("_") or not hasattr(Config, key):
        raise SettingsError(f"{path}: Hypercorn has no setting {key!r}: remove it")
    if key in _FIXED and value != _FIXED[key]:
        raise SettingsError(f"{path}: {key}={value!r} is not allowed: expected {_FIXED[key]!r}")
    expected = getattr(Config, key)
    if isinstance(expected, bool | int | float | str | list):
        kinds = (int, float) if type(expected) in (int, float) else (type(expected),)
        if type(value) not in kinds and key != "bind":
            raise SettingsError(
                f"{path}: {key}={value!r} is not allowed: expected a {kinds[-1].__name__}"
            )
