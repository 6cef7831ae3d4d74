"""`fasttalk-stt config`: print the effective settings and where each came from."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from fasttalk_stt.engines import choices
from fasttalk_stt.settings import EffectiveSetting, Settings
from fasttalk_stt.spelling import misspelt

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
    """Print the settings of the current environment, secrets masked, and what "auto" stands for here."""
    settings = Settings.from_environment(os.environ)
    effective = settings.effective(os.environ)
    try:
        chosen = choices(settings)
    except ImportError as error:
        print(f"what auto stands for is not known: {error}", file=sys.stderr)
        chosen = {}
    if args.json:
        report = {each.variable: _entry(each, chosen.get(each.variable)) for each in effective}
        print(json.dumps(report, indent=2))
    else:
        for each in effective:
            print(_line(each, chosen.get(each.variable)))
    for name, meant in misspelt(os.environ).items():
        print(f"{name} is no setting: was {meant} meant?", file=sys.stderr)
    return 0


def _entry(setting: EffectiveSetting, chosen: str | None) -> dict[str, object]:
    entry = {"value": _plain(setting.value), "source": setting.source}
    return entry if chosen is None else {**entry, "chosen": chosen}


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    return list(value) if isinstance(value, tuple) else str(value)


def _line(setting: EffectiveSetting, chosen: str | None) -> str:
    value = _plain(setting.value)
    if isinstance(value, list):
        value = ",".join(value)
    shown = "(unset)" if value is None else str(value)
    if chosen is not None:
        shown += f" ({chosen})"
    return f"{setting.variable:<34} {shown:<24} {setting.source}"
