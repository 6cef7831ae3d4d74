"""`fasttalk-stt transcribe` as a user runs it, with the real model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.scoring import word_errors

pytestmark = pytest.mark.integration

LIMIT_S = 240.0


def transcribe(*argv: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fasttalk_stt", "transcribe", "--model", "tiny.en"]
    return subprocess.run(
        [*command, *map(str, argv)],
        env={name: value for name, value in os.environ.items() if name != "LANGUAGE"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_files_become_json_and_a_bad_one_is_one_line(samples, tmp_path: Path):
    conversation = samples["conversation"]
    missing = tmp_path / "gone.wav"
    done = transcribe("--format", "json", missing, conversation.path)
    assert done.returncode == 1
    assert f"fasttalk-stt: {missing}: no such file" in done.stderr.splitlines()
    (line,) = done.stdout.splitlines()
    made = json.loads(line)
    assert made["problems"] == []
    assert made["model"] == "tiny.en"
    assert word_errors(conversation.reference, made["text"]).errors <= 3


def test_an_unknown_model_is_one_line(samples):
    done = transcribe("--model", "no-such-model", samples["yes"].path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("fasttalk-stt: no model 'no-such-model'")
