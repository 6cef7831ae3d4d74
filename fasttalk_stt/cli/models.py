"""`fasttalk-stt models`: which models are there, which one "auto" takes, how to get the others.

`--fetch` fills a cache before a server starts. Finding and fetching models is `inference.models`' job.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from attrs import asdict

from fasttalk_stt.inference.models import ModelListing, list_models, resolve_model
from fasttalk_stt.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "models",
        help="list the models, or fetch one: installed, missing, and what MODEL=auto takes",
    )
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument("--json", action="store_true", help="print JSON for programs")
    wish.add_argument(
        "--fetch",
        metavar="NAME",
        help="download a model into MODEL_CACHE, if it is not there, and print its directory",
    )


def run(args: argparse.Namespace) -> int:
    """Print the listing for the configured device, 1 where no model is installed; or fetch one.

    Raises SettingsError, and ModelNotFoundError where the model to fetch cannot be had.
    """
    settings = Settings.from_environment(os.environ)
    if args.fetch is not None:
        found = resolve_model(
            args.fetch, device=settings.device, cache_directory=settings.model_cache
        )
        print(found.path)
        return 0
    listings = list_models(device=settings.device)
    if args.json:
        print(json.dumps([asdict(listing) for listing in listings], indent=2))
    else:
        print(render(listings))
    return 0 if any(listing.state == "installed" for listing in listings) else 1


def render(listings: Sequence[ModelListing]) -> str:
    """The listing as a table for people, with one line for all models that can be downloaded."""
    downloadable = [
        listing.name
        for listing in listings
        if listing.state == "missing" and listing.source == "download"
    ]
    shown = [listing for listing in listings if listing.name not in downloadable]
    lines = [
        f"{'*' if listing.is_auto else ' '} {listing.name:<16} {listing.state:<10} {listing.detail}"
        for listing in shown
    ]
    if downloadable:
        lines.append(f"  downloaded at first use: {', '.join(downloadable)}")
    if any(listing.is_auto for listing in listings):
        lines.append("* is what MODEL=auto takes without a download")
    else:
        lines.append(
            "No model is installed: pip install 'fasttalk-stt[embedded]', or connect to the "
            "internet and MODEL=auto downloads one"
        )
    return "\n".join(lines)
