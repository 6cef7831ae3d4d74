"""`fasttalk-stt serve`: run the server until a signal stops it."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from fasttalk_stt.inference.faulty import FaultPlan, read_faults
from fasttalk_stt.server import serve
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings
from fasttalk_stt.spelling import warn_of_misspelt

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the `serve` subcommand."""
    parser = subparsers.add_parser(
        "serve",
        help="run the server",
        description="Run the server. Settings come from the environment; "
        "'fasttalk-stt config' lists them. The first Ctrl-C drains, the second kills.",
    )
    parser.add_argument(
        "--hypercorn-config",
        type=Path,
        metavar="FILE",
        help="settings of the web server underneath (default: ./hypercorn.toml if there is one)",
    )
    parser.add_argument(
        "--faults",
        type=_faults,
        metavar="PLAN",
        help="let the model fail on purpose, to rehearse: such as 'oom:0.05,slow(2s):0.1,hang@20;seed=7' "
        "(error, gpu, oom, garbage, slow, hang; by chance or by the number of the call)",
    )


def _faults(text: str) -> FaultPlan:
    try:
        return read_faults(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    """Serve; returns when drained. Raises user errors for `main` to print."""
    settings = Settings.from_environment(os.environ)
    configure_logging(settings)
    warn_of_misspelt(os.environ)
    trio.run(partial(serve, settings, hypercorn_file=args.hypercorn_config, faults=args.faults))
    return 0
