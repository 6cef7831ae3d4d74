"""`make demo` as a newcomer runs it: the real server, real speech, a clean end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
WITHIN_S = 400.0
"""The demo's own limits add up to this; it takes about a minute."""


@pytest.mark.integration
def test_demo_hears_the_conversation_and_ends_cleanly() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    words = demo.stdout.lower()
    assert "hello" in words
    assert "kitchen" in words
    assert "server stopped cleanly" in words
