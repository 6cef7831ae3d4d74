"""Small rehearsals over real sockets; `python -m tools.rehearse` does larger ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.tools.test_rehearsing import conversation_source
from tools.hearing.servers import fake_server
from tools.rehearse import is_kept
from tools.rehearsing.replicas import settings_of
from tools.rehearsing.speech import soak_with_speech

pytestmark = pytest.mark.abuse

LONGEST_S = 150


def rehearse(part: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """The figures of one part; fails with its output where a promise was broken."""
    file = folder / "rehearsal.json"
    command = [
        sys.executable,
        "-m",
        "tools.rehearse",
        "--only",
        part,
        "--json",
        str(file),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))[part]
    return figures


def test_no_word_is_lost_over_connections_that_break(tmp_path: Path) -> None:
    figures = rehearse("cuts", tmp_path, "--cuts", "12", "--clients", "12")
    assert sum(figures["cuts"].values()) >= 12
    assert figures["words"] > 0
    assert figures["words_lost"] == figures["words_too_many"] == 0


def test_faults_cuts_and_vanishing_clients_break_no_promise(tmp_path: Path) -> None:
    figures = rehearse("chaos", tmp_path, "--clients", "12", "--minutes", "0.3")
    assert figures["conversations"] >= 10


@pytest.mark.skipif(
    shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is None,
    reason="HAProxy is not installed",
)
def test_replicas_are_killed_and_restarted_and_no_word_is_lost(tmp_path: Path) -> None:
    figures = rehearse("replicas", tmp_path, "--clients", "8")
    assert figures["resumes"] >= 8
    assert figures["words_lost"] == figures["words_too_many"] == 0


def test_a_soak_with_recordings_counts_what_went_wrong(tmp_path: Path) -> None:
    sources = [conversation_source(f"talk-{seed}", seed, seconds=3.0) for seed in range(3)]
    with fake_server(settings_of(), tmp_path / "server.log", tones=True) as server:
        figures = trio.run(
            partial(soak_with_speech, server, sources, clients=3, seconds=6.0, note=print)
        )
    assert figures["recordings"] > len(sources)
    assert figures["wer_unbroken"] == figures["wer_meanwhile"] == 0
    assert is_kept(figures)
    assert not is_kept({**figures, "unexpected_errors": {"transcription_failed": 1}})
    assert not is_kept({**figures, "wer_meanwhile": 0.1})
