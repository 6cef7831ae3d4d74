"""Interrupting the page's bot, timed on the page's own audio clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import OpenDemo
from tests.browser.recordings import turns
from tests.browser.scripted import ScriptedServer
from tests.integration.conftest import RealServer
from tools.playlist import Item

pytestmark = pytest.mark.browser

SILENT_WITHIN_S = 0.300
"""95 of 100 onsets, from the first sample of voice to a gain of zero."""

TURNS = (
    "no_thanks",
    "backchannel",
    "interrupt",
    "yes",
    "no_thanks",
    "question",
    "backchannel",
    "interrupt",
)
"""`yes` and `backchannel` are what listeners say: the bot goes on after them."""

LISTENERS = frozenset({"yes", "backchannel"})


def test_the_bot_stops_for_speech_and_goes_on_after_a_listeners_sign(
    open_demo: OpenDemo, real_server: RealServer, samples: dict[str, Item], tmp_path: Path
) -> None:
    # Enough behind each for its text, the bot's reply and a second of its talking; the odd part moves
    # the onsets within the detector's frames.
    recording = turns(
        tmp_path / "turns.wav",
        [(samples[name].path, 3.4 + 0.007 * index, "") for index, name in enumerate(TURNS)],
    )
    demo = open_demo(real_server.http_url)
    demo.page.get_by_role("switch", name="The bot is talking").check()
    demo.pick(recording.path)
    demo.wait_idle(recording.seconds + 30)
    assert demo.notice == ""

    measured = demo.measurements
    began_s = measured["fileStartedAt"]
    barge_ins = measured["bargeIns"]
    assert len(barge_ins) == len(TURNS)
    silent_after_s = []
    for name, onset_s, bargein in zip(TURNS, recording.onsets_s, barge_ins, strict=True):
        silent_after_s.append(bargein["silentAt"] - (began_s + onset_s))
        expected = "rejected: backchannel" if name in LISTENERS else "confirmed"
        assert bargein["outcome"] == expected, name
        if name in LISTENERS:
            # It talks on at once, not after a turn.
            assert 0 < bargein["resumedAt"] - bargein["outcomeAt"] < 0.1
    shown_ms = ", ".join(f"{1000 * each:.0f}" for each in silent_after_s)
    print(f"the bot was silent after {shown_ms} ms of voice")
    assert min(silent_after_s) > 0
    assert np.percentile(silent_after_s, 95) <= SILENT_WITHIN_S


def test_what_the_page_tells_the_server_of_its_bot(
    open_demo: OpenDemo, real_server: RealServer
) -> None:
    server = ScriptedServer()
    demo = open_demo(real_server.http_url, prepare=server.attach)
    state = demo.page.locator("#bot-state")

    def told() -> list[str]:
        context = [each["data"] for each in server.of_type("context_update")]
        return [each["conversation_state"] for each in context if "conversation_state" in each]

    def wait(expected: str) -> None:
        demo.page.locator(f"#bot-state[data-state={expected}]").wait_for()

    demo.page.get_by_label("Send interrupt as well").check()
    demo.start_microphone()
    wait("off")
    demo.page.get_by_role("switch", name="The bot is talking").check()
    wait("talking")
    assert told() == ["responding"]

    server.onset(1, 100)
    wait("held")
    server.rejected(1, 100, reason="noise")
    wait("talking")
    state.get_by_text("no interruption (noise)").wait_for()
    assert told() == ["responding"]
    assert server.of_type("interrupt") == []

    server.onset(2, 1_000)
    wait("held")
    server.speech_ended(2, 1_000, 2_000)
    server.final(2, 1_000)
    wait("listening")
    assert told() == ["responding", "listening"]
    assert len(server.of_type("interrupt")) == 1
    # The turn is over, so after a moment the bot answers; and somebody who speaks on is heard out.
    wait("talking")
    server.onset(3, 4_000)
    wait("held")
    server.final(3, 4_000, end_of_turn=False)
    wait("listening")
    demo.page.wait_for_timeout(1_500)
    assert state.get_attribute("data-state") == "listening"
    server.final(3, 6_000)
    wait("talking")
    demo.page.get_by_role("switch", name="The bot is talking").uncheck()
    wait("off")
    assert told()[-3:] == ["listening", "responding", "listening"]

    first, second, third = demo.measurements["bargeIns"]
    assert [first["outcome"], second["outcome"]] == ["rejected: noise", "confirmed"]
    for each in (first, second, third):
        # The gain itself, as the audio thread saw it: 15 ms of fading, one frame of rendering or two.
        assert 0 < each["silentAt"] - each["detectedAt"] < 0.05
    assert first["resumedAt"] - first["outcomeAt"] < 0.05
