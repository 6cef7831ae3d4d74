"""The programs that check deployment files, and what they are run on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
CHART = DEPLOY / "helm" / "fasttalk-stt"
CHECKERS = REPOSITORY / "build" / "checkers"
"""What `python -m tools.deploy_checkers` fills."""


def program(name: str, advice: str) -> str:
    """The path of a program. Where it is missing the test is skipped, but not in CI."""
    folders = [CHECKERS, Path(sys.executable).parent, *map(Path, os.get_exec_path()), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(map(str, folders)))
    if found is None:
        message = f"no {name}: {advice}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def output(command: list[str], **environment: str) -> str:
    """What the command prints; fails with all of it where the command does."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
