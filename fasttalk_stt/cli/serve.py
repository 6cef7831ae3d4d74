"""`fasttalk-stt serve`: run the server until a signal stops it."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from fasttalk_stt.server import serve
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings

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


def run(args: argparse.Namespace) -> int:
    """Serve; returns when drained. Raises user errors for `main` to print."""
    settings = Settings.from_environment(os.environ)
    configure_logging(settings.log_format)
    trio.run(partial(serve, settings, hypercorn_file=args.hypercorn_config))
    return 0
