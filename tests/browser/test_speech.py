"""Speech through the whole way: a browser's microphone or file, the real server, the page."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median

import pytest

from tests.browser.conftest import OpenDemo
from tests.browser.recordings import Recording, real_speech
from tests.integration.conftest import RealServer
from tools.playlist import Item
from tools.scoring import word_errors

pytestmark = pytest.mark.browser

MARGIN = 0.05
"""Of the words: audio arrives in other frames, resampled twice, so single words may differ."""

BEHIND_S = 4.0
"""By which people hear a recording later than the server, as demo.js has it."""

FRAME_S = 0.05
"""Of a busy machine's screen: three at 60 Hz."""

RECORD_LIT = """() => {
  window.lit = [];
  new MutationObserver(changes => {
    for (const { target } of changes) {
      if (!target.classList.contains("lit") || window.lit.at(-1)?.word === target.title) continue;
      window.lit.push({ word: target.title, at: window.fasttalkDemo.now });
    }
  }).observe(document.getElementById("utterances"),
             { subtree: true, attributes: true, attributeFilter: ["class"] });
}"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory, samples: dict[str, Item]) -> Recording:
    return real_speech(tmp_path_factory.mktemp("speech"), samples)


@pytest.fixture(scope="module")
def replayed_wer(
    speech: Recording, real_server: RealServer, tmp_path_factory: pytest.TempPathFactory
) -> float:
    """What a client without a browser gets from the same server for the same file."""
    out = tmp_path_factory.mktemp("replay") / "replay.json"
    command = [sys.executable, "-m", "tools.replay", "--quiet", "--speed", "0"]
    command += ["--url", real_server.websocket_url, "--config", "language=en"]
    command += ["--json", str(out), str(speech.path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    text = json.loads(out.read_text(encoding="utf-8"))["files"][0]["text"]
    return word_errors(speech.text, text).wer


def test_the_microphone_is_transcribed(
    open_demo: OpenDemo, real_server: RealServer, speech: Recording, replayed_wer: float
) -> None:
    demo = open_demo(real_server.http_url, microphone=speech.path)
    demo.start_microphone()
    demo.wait_heard(speech.seconds + 1.0)
    demo.stop()
    assert demo.notice == ""
    wer = word_errors(speech.text, demo.text).wer
    print(f"word error rate: microphone {wer:.3f}, tools.replay {replayed_wer:.3f}")
    assert wer <= replayed_wer + MARGIN


def test_a_recording_is_transcribed_and_its_words_light_up_as_they_are_heard(
    open_demo: OpenDemo, real_server: RealServer, speech: Recording, replayed_wer: float
) -> None:
    demo = open_demo(real_server.http_url)
    demo.page.evaluate(RECORD_LIT)
    demo.pick(speech.path)
    demo.page.wait_for_selector(".partial:visible")
    demo.wait_idle(speech.seconds + 30)
    assert demo.notice == ""
    wer = word_errors(speech.text, demo.text).wer
    print(f"word error rate: file {wer:.3f}, tools.replay {replayed_wer:.3f}")
    assert wer <= replayed_wer + MARGIN

    words = demo.page.locator("#utterances .word").count()
    assert words == len(demo.text.split())
    lit = demo.page.evaluate("window.lit")
    # "95 % sure, 1.20–1.44 s": where the word begins in the session, and when it was lit.
    starts_s = [float(each["word"].split(", ")[1].split("–")[0]) for each in lit]
    began_s = demo.measurements["sessionStartedAt"]
    lags_s = [
        each["at"] - (began_s + start_s + BEHIND_S)
        for each, start_s in zip(lit, starts_s, strict=True)
    ]
    print(f"{len(lit)} of {words} words were lit, {median(lags_s) * 1000:.0f} ms behind (median)")
    assert len(lit) >= 0.8 * words
    assert starts_s == sorted(starts_s)
    assert min(lags_s) > -FRAME_S
    assert median(lags_s) < 2 * FRAME_S


def test_a_device_faster_than_the_server_takes_is_slowed_down(
    open_demo: OpenDemo, real_server: RealServer, samples: dict[str, Item]
) -> None:
    demo = open_demo(
        real_server.http_url,
        prepare=lambda page: page.add_init_script(
            "window.AudioContext = class extends AudioContext {"
            " constructor() { super({ sampleRate: 96_000 }); } }"
        ),
    )
    demo.pick(samples["hello_world"].path)
    demo.wait_idle(30)
    assert demo.measurements["sampleRate"] == 48_000
    assert word_errors(samples["hello_world"].reference or "", demo.text).wer <= 0.1
