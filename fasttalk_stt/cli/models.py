"""`fasttalk-stt models`: which models are there, which one "auto" takes, how to get the others.

Prints only; finding models is `inference.models`' job.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from attrs import asdict

from fasttalk_stt.inference.models import ModelListing, list_models
from fasttalk_stt.settings import Settings


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "models", help="list the models: installed, missing, and what MODEL=auto takes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Print the listing for the configured device; 1 where no model is installed."""
    settings = Settings.from_environment(os.environ)
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
