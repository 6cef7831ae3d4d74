"""Interrupting the page's bot, timed on the page's own audio clock."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator

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


class Talk:
    """A page whose bot talks, before a scripted server."""

    def __init__(self, open_demo: OpenDemo, http_url: str) -> None:
        self.server = ScriptedServer()
        self.demo = open_demo(http_url, prepare=self.server.attach)
        self.demo.page.get_by_label("Send interrupt as well").check()
        self.demo.start_microphone()
        self.switch.check()
        self.wait("talking")

    @property
    def switch(self) -> Locator:
        return self.demo.page.get_by_role("switch", name="The bot is talking")

    @property
    def told(self) -> list[str]:
        """The conversation states that the server was told."""
        context = [each["data"] for each in self.server.of_type("context_update")]
        return [each["conversation_state"] for each in context if "conversation_state" in each]

    @property
    def barge_ins(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.demo.measurements["bargeIns"]
        return found

    def wait(self, state: str) -> None:
        self.demo.page.locator(f"#bot-state[data-state={state}]").wait_for()

    def wait_measured(self, name: str) -> None:
        """Until the audio thread has told so of the last barge-in."""
        deadline_s = time.monotonic() + 10
        while self.barge_ins[-1][name] is None:
            assert time.monotonic() < deadline_s, name
            self.demo.page.wait_for_timeout(20)

    def onset(self, utterance: int, start_ms: int) -> None:
        self.server.onset(utterance, start_ms)
        self.wait("held")
        self.wait_measured("silentAt")
        last = self.barge_ins[-1]
        # The gain itself: 15 ms of fading, and a busy machine's rendering.
        assert 0 < last["silentAt"] - last["detectedAt"] < 0.1


def test_an_onset_that_is_taken_back_lets_the_bot_go_on(
    open_demo: OpenDemo, real_server: RealServer
) -> None:
    talk = Talk(open_demo, real_server.http_url)
    talk.onset(1, 100)
    talk.server.rejected(1, 100, reason="noise")
    talk.wait("talking")
    talk.demo.page.get_by_text("no interruption (noise)").wait_for()
    talk.wait_measured("resumedAt")
    barge_in = talk.barge_ins[0]
    assert barge_in["outcome"] == "rejected: noise"
    assert barge_in["resumedAt"] - barge_in["outcomeAt"] < 0.1
    assert talk.told == ["responding"]
    assert talk.server.of_type("interrupt") == []


def test_an_interrupted_bot_listens_until_the_turn_is_over(
    open_demo: OpenDemo, real_server: RealServer
) -> None:
    talk = Talk(open_demo, real_server.http_url)
    talk.onset(1, 1_000)
    talk.server.final(1, 1_000, end_of_turn=False)
    talk.wait("listening")
    assert talk.told == ["responding", "listening"]
    assert len(talk.server.of_type("interrupt")) == 1
    # Longer than the bot waits behind the end of a turn: somebody who speaks on is heard out.
    talk.demo.page.wait_for_timeout(1_500)
    talk.wait("listening")
    talk.server.speech_ended(1, 1_000, 8_000)
    talk.server.final(1, 5_000)
    talk.wait("talking")
    assert talk.told[-1] == "responding"
    talk.switch.uncheck()
    talk.wait("off")
    assert talk.told[-1] == "listening"
    assert [each["outcome"] for each in talk.barge_ins] == ["confirmed"]


def test_a_turn_whose_last_words_never_come_does_not_silence_the_bot(
    open_demo: OpenDemo, real_server: RealServer
) -> None:
    talk = Talk(open_demo, real_server.http_url)
    talk.onset(1, 1_000)
    talk.server.final(1, 1_000, end_of_turn=False)
    talk.server.speech_ended(1, 1_000, 5_000)
    # Before the bot has given the rest of that turn up.
    talk.wait("listening")
    talk.server.onset(2, 5_500)
    talk.server.speech_ended(2, 5_500, 9_000)
    talk.server.final(2, 5_500)
    talk.wait("talking")
    # And where the end came first.
    talk.onset(3, 10_000)
    talk.server.speech_ended(3, 10_000, 12_000)
    talk.server.final(3, 10_000, end_of_turn=False)
    talk.wait("listening")
    talk.wait("talking")


def test_a_rejection_leaves_the_bot_silent_for_words_that_are_on_their_way(
    open_demo: OpenDemo, real_server: RealServer
) -> None:
    talk = Talk(open_demo, real_server.http_url)
    talk.onset(1, 1_000)
    talk.server.speech_ended(1, 1_000, 2_000)
    talk.server.onset(2, 2_500)
    talk.server.rejected(2, 2_500, reason="noise")
    talk.demo.page.get_by_text("Taken back: no speech").wait_for()
    talk.wait("held")
    # What was said before the bot talked is no interruption.
    talk.server.final(0, 100, "Earlier.")
    talk.demo.page.locator("#utterances").get_by_text("Earlier.").wait_for()
    talk.wait("held")
    talk.server.final(1, 1_000)
    talk.wait("talking")
    assert [each["outcome"] for each in talk.barge_ins] == ["confirmed"]
