"""The published document, read by AsyncAPI's own parser: structure, references and schemas.

The parser is a program for Node.js. It is installed once, as its lock file says, under `build/`; without
npm, or without a way to its packages, the test is skipped: `tests/protocol` holds the document against
the official schema in any case.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from fasttalk_stt import __version__
from fasttalk_stt.protocol.asyncapi import AUDIO, asyncapi_document
from fasttalk_stt.protocol.client_messages import ClientMessage
from fasttalk_stt.protocol.server_messages import ServerMessage

pytestmark = pytest.mark.integration

HERE = Path(__file__).with_name("asyncapi_parser")
INSTALLED = Path(__file__).parents[2] / "build" / "asyncapi_parser"
INSTALL_LIMIT_S = 180.0
ALLOWED_REMARKS = {"asyncapi-latest-version"}
"""That there is a newer version of AsyncAPI: 3.0 is what tools read today."""


@pytest.fixture(scope="module")
def parser() -> Path:
    """The parser's program, with what it needs beside it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    shutil.copytree(HERE, INSTALLED, dirs_exist_ok=True)
    if not (INSTALLED / "node_modules" / ".package-lock.json").exists():
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(
                command, cwd=INSTALLED, check=True, capture_output=True, timeout=INSTALL_LIMIT_S
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(INSTALLED)
            pytest.skip(f"the parser cannot be installed: {error}")
    return INSTALLED / "check.mjs"


def _parse(parser: Path, document: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        ["node", str(parser)],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_the_official_parser_reads_the_document(parser: Path) -> None:
    read = _parse(parser, asyncapi_document(__version__))
    assert [each for each in read["diagnostics"] if each["code"] not in ALLOWED_REMARKS] == []
    types = {cls.type for cls in (*get_args(ClientMessage), *get_args(ServerMessage))}
    assert set(read["messages"]) == types | {AUDIO}


def _break_a_schema(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Pong"]["properties"]["id"]["type"] = "nothing"


def _break_a_reference(document: dict[str, Any]) -> None:
    document["operations"]["ping"]["messages"] = [{"$ref": "#/channels/none"}]


@pytest.mark.parametrize("spoil", [_break_a_schema, _break_a_reference])
def test_the_official_parser_would_notice(
    parser: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    document = asyncapi_document(__version__)
    spoil(document)
    assert any(each["severity"] == 0 for each in _parse(parser, document)["diagnostics"])
