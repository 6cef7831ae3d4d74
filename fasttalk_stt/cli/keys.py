"""`fasttalk-stt keys`: make an API key, or hash one, and print the line to store.

A key is printed once and kept nowhere; what the server stores is its digest.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from fasttalk_stt.access.api_keys import digest, is_key_name, new_key

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the `keys` subcommand."""
    parser = subparsers.add_parser(
        "keys",
        help="make an API key, or hash one",
        description="Make API keys. The server stores digests only.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("new", help="print a fresh key, once, and the line to store")
    new.add_argument("name", type=_name, metavar="NAME", help="whose key it is; shown in logs")
    hashing = actions.add_parser("hash", help="read a key from standard input, print the line")
    hashing.add_argument("name", type=_name, metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """Print the key (only for `new`) and its line, as API_KEYS and as API_KEYS_FILE take it."""
    if args.action == "new":
        key = new_key()
        print(f"The key, shown this once: {key}")
    else:
        key = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
        if not key:
            print("fasttalk-stt: no key came on standard input", file=sys.stderr)
            return 1
    print(f"For API_KEYS:             {args.name}:{digest(key)}")
    print(f'For API_KEYS_FILE:        [keys."{args.name}"]')
    print(f'                          sha256 = "{digest(key)}"')
    return 0


def _name(text: str) -> str:
    if not is_key_name(text):
        raise argparse.ArgumentTypeError(
            "a name has 1-64 letters, digits, '.', '_' or '-', and is no key itself"
        )
    return text
