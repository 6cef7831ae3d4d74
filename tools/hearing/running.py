"""Runs the parts of an evaluation one after another, and keeps what each has found."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.transcripts.audio_file import AudioFileError
from tools.hearing.servers import ServerError

Options = TypeVar("Options")
Note = Callable[[str], None]

EXPECTED_ERRORS = (OSError, ValueError, AudioFileError, EngineError, ServerError)
"""What may be wrong with a corpus, a model or a server: one line for the user."""


def run_parts(
    names: Sequence[str],
    parts: Mapping[str, Callable[[Options, Note], Any]],
    options: Options,
    report: dict[str, Any],
    json_path: Path | None,
) -> None:
    """Add the findings of each part to the report, which is written after each, so that what was
    measured is not lost when a later one fails. Raises what the parts raise."""
    for name in names:
        began_s = time.monotonic()
        note(f"{name} ...")
        report[name] = parts[name](options, note)
        note(f"{name}: {time.monotonic() - began_s:.0f} s")
        _write_json(report, json_path)


def part_names(parts: Mapping[str, object]) -> Callable[[str], list[str]]:
    """Reads a command line's `--only A,B`, of these parts. What it makes raises ArgumentTypeError."""

    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in parts:
                raise argparse.ArgumentTypeError(f"{name!r}: expected of {', '.join(parts)}")
        return names

    return read


def note(text: str) -> None:
    """Tell of progress."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def _write_json(report: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
