"""`fasttalk-stt config`: print the effective settings and where each came from."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

from fasttalk_stt.settings import EffectiveSetting, Settings

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the `config` subcommand."""
    parser = subparsers.add_parser(
        "config",
        help="print the effective settings",
        description="Print every setting with its value and its source.",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the settings of the current environment, secrets masked."""
    settings = Settings.from_environment(os.environ).effective(os.environ)
    if args.json:
        report = {
            each.variable: {"value": _plain(each.value), "source": each.source} for each in settings
        }
        print(json.dumps(report, indent=2))
    else:
        for each in settings:
            print(_line(each))
    return 0


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    return list(value) if isinstance(value, tuple) else str(value)


def _line(setting: EffectiveSetting) -> str:
    value = _plain(setting.value)
    if isinstance(value, list):
        value = ",".join(value)
    shown = "(unset)" if value is None else value
    return f"{setting.variable:<34} {shown!s:<24} {setting.source}"
