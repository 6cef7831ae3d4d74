"""The backend of docs/integration.md, as printed there, over a connection that breaks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio

from fasttalk_stt.inference.tones import tone_word, tones
from tools.hearing.servers import fake_server
from tools.rehearsing.network import Cut, Network

pytestmark = pytest.mark.abuse

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000
MOST_LINES = 30
SAID = (11, 12, 13, 14, 15, 16)


def backend() -> str:
    document = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", document, re.DOTALL)
    assert found is not None
    return found[1]


def recording(folder: Path) -> Path:
    """Two utterances; the connection breaks in the second."""
    silence = np.zeros(RATE_HZ, dtype=np.float32)
    said = [silence, tones(SAID[:3]), silence, silence, tones(SAID[3:]), silence]
    file = folder / "said.wav"
    soundfile.write(file, np.concatenate(said), RATE_HZ)
    return file


async def run_over_a_cut(port: int, code: str, file: Path) -> subprocess.CompletedProcess[bytes]:
    cuts = [Cut(4.7, "reset")]
    network = Network(lambda: ("127.0.0.1", port), lambda: cuts.pop() if cuts else None)
    async with trio.open_nursery() as nursery:
        broken = await nursery.start(network.serve)
        done = await trio.run_process(
            [sys.executable, "-c", code, f"ws://127.0.0.1:{broken}/ws/transcribe", str(file)],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        nursery.cancel_scope.cancel()
    assert network.breaks == {"reset": 1}
    return done


def test_it_hears_every_word_once_and_stops_the_bot(tmp_path: Path) -> None:
    code = backend()
    assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES
    with fake_server({}, tmp_path / "server.log", tones=True) as server:
        port = int(server.url.rsplit(":", 1)[1].split("/")[0])
        done = trio.run(run_over_a_cut, port, code, recording(tmp_path))
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    words = [word for line in lines if not line.startswith(">") for word in line.split()]
    assert words == [tone_word(number) for number in SAID]
    assert "> resumed" in lines
    assert lines.count("> stop the bot") == 2
    assert lines[0] == "> stop the bot", "before any word"
