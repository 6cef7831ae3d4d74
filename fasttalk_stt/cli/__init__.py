"""The `fasttalk-stt` command: serve, transcribe, models, config, keys.

Each subcommand is a module with `add_parser` and `run`. Here is what they share: a user's error
becomes one line on stderr and a non-zero exit code, never a traceback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from fasttalk_stt import __version__
from fasttalk_stt.cli import config as config
from fasttalk_stt.cli import keys as keys
from fasttalk_stt.cli import models as models
from fasttalk_stt.cli import serve as serve
from fasttalk_stt.cli import transcribe as transcribe
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.settings import SettingsError

USER_ERRORS = (SettingsError, EngineError, OSError)
"""Bad settings, missing models, busy ports, unreadable files: their text is the one line."""

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; argparse exits with 2 on bad usage."""
    parser = argparse.ArgumentParser(
        prog="fasttalk-stt", description="Real-time speech to text over one WebSocket."
    )
    parser.add_argument("--version", action="version", version=f"fasttalk-stt {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = {
        "serve": serve,
        "transcribe": transcribe,
        "models": models,
        "config": config,
        "keys": keys,
    }
    for command in commands.values():
        command.add_parser(subparsers)
    args = parser.parse_args(argv)
    exit_code = EXIT_FAILED
    try:
        exit_code = commands[args.command].run(args)
    except* KeyboardInterrupt:
        exit_code = EXIT_INTERRUPTED
    except* USER_ERRORS as group:
        for line in _lines(group):
            print(f"fasttalk-stt: {line}", file=sys.stderr)
    return exit_code


def _lines(group: BaseExceptionGroup[BaseException]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _lines(error)
        else:
            yield str(error)
