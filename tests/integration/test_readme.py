"""The README's example client, as printed there, against the real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import RealServer

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def test_the_example_prints_what_was_said(real_server: RealServer) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    code = found[1]
    assert "ws://localhost:8000/ws/transcribe" in code
    code = code.replace("ws://localhost:8000/ws/transcribe", real_server.websocket_url)
    code = code.replace("conversation.flac", "hello_world.flac")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hello world" in done.stdout.lower()


def test_nothing_was_left_to_be_filled_in() -> None:
    for document in ROOT.glob("*.md"):
        assert "@@" not in document.read_text(encoding="utf-8"), document.name
