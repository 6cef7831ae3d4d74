"""Two-phase barge-in: what an onset withholds, and what decides about it."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.conversation.segments import NOTHING_HEARD, Failure, Heard, HeardWord
from fasttalk_stt.protocol.client_messages import ContextUpdate, ConversationState
from fasttalk_stt.protocol.server_messages import VoiceActivityDetected, VoiceActivityRejected
from tests.conversation.driver import FAILURE, Driver
from tests.support import silence, sound

UTTERANCE = np.concatenate((sound(1.0), silence(0.7)))


def says(text: str) -> Heard:
    return Heard((HeardWord(f" {text}", 0, 16_000, 0.9),), language="en")


def bot(driver: Driver, state: ConversationState) -> None:
    driver.do(driver.session.update_context(ContextUpdate(conversation_state=state)))


def interrupted(state: ConversationState = "responding", **config: object) -> Driver:
    """An utterance waits for its text; the bot does something; somebody speaks again."""
    driver = Driver(fasttalk_mode=True, **config)
    driver.hear(UTTERANCE)
    bot(driver, state)
    driver.hear(UTTERANCE)
    assert len(driver.wanted) == 2
    return driver


def onset(driver: Driver) -> VoiceActivityDetected:
    detected = driver.of_type("voice_activity_detected")[-1]
    assert isinstance(detected, VoiceActivityDetected)
    return detected


def rejections(driver: Driver) -> list[tuple[int, str]]:
    return [
        (m.data.utterance, m.data.reason)
        for m in driver.messages
        if isinstance(m, VoiceActivityRejected)
    ]


@pytest.mark.parametrize("state", ["processing", "responding"])
def test_an_onset_withholds_what_is_older_than_the_state(state: ConversationState) -> None:
    driver = interrupted(state)
    assert onset(driver).data.barge_in
    assert onset(driver).data.withheld_segments == 1
    driver.resolve(driver.wanted[0])
    driver.send_ready()
    assert driver.finals == []


def test_text_discards_it() -> None:
    driver = interrupted()
    stale, new = driver.wanted
    driver.resolve(new, says("Stop."))
    assert driver.cancelled == [stale]
    driver.wanted.clear()
    driver.send_ready()
    assert [final.data.text for final in driver.finals] == ["Stop."]
    assert rejections(driver) == [(1, "interrupted")]
    driver.end()
    ended = driver.messages[-1]
    assert ended.type == "session_ended"
    assert ended.audio.discarded_ms > 1_000
    assert "interrupt_acknowledged" not in driver.types


@pytest.mark.parametrize("outcome", [NOTHING_HEARD, FAILURE])
def test_anything_else_lets_it_go_on(outcome: Heard | Failure) -> None:
    driver = interrupted()
    stale, new = driver.wanted
    driver.resolve(stale)
    driver.resolve(new, outcome)
    driver.send_ready()
    (final,) = driver.finals
    assert final.data.utterance == 1
    assert rejections(driver) == [(2, "noise" if outcome is NOTHING_HEARD else "failed")]


def test_a_murmur_while_the_bot_speaks_lets_it_go_on_and_is_told() -> None:
    driver = interrupted()
    stale, new = driver.wanted
    driver.resolve(stale)
    driver.resolve(new, says("Mm-hm."))
    driver.send_ready()
    assert [final.data.utterance for final in driver.finals] == [1]
    (rejected,) = driver.of_type("voice_activity_rejected")
    assert isinstance(rejected, VoiceActivityRejected)
    assert (rejected.data.reason, rejected.data.text) == ("backchannel", "Mm-hm.")
    driver.end()
    ended = driver.messages[-1]
    assert ended.audio.transcribed_ms >= 2 * 1_000, "a murmur counts as transcribed"


@pytest.mark.parametrize("state", ["listening", "processing"])
def test_while_the_bot_is_silent_the_same_word_is_an_answer(state: ConversationState) -> None:
    driver = interrupted(state)
    driver.resolve(driver.wanted[1], says("Yeah."))
    driver.wanted = [entry for entry in driver.wanted if not entry.cancelled]
    for entry in list(driver.wanted):
        driver.resolve(entry)
    driver.send_ready()
    assert driver.finals[-1].data.text == "Yeah."


def test_a_murmur_behind_real_words_is_text() -> None:
    driver = Driver(fasttalk_mode=True)
    bot(driver, "responding")
    driver.hear(sound(1.0))
    driver.do(driver.session.flush(driver.now_s))
    driver.hear(UTTERANCE)
    first, second = driver.wanted
    driver.resolve(first, says("Wait a moment."))
    driver.resolve(second, says("Mm-hm."))
    driver.send_ready()
    assert [final.data.text for final in driver.finals] == ["Wait a moment.", "Mm-hm."]
    assert rejections(driver) == []


def test_in_the_listening_state_an_onset_withholds_nothing() -> None:
    driver = interrupted("listening")
    assert not onset(driver).data.barge_in
    assert onset(driver).data.withheld_segments == 0
    driver.resolve(driver.wanted[0])
    driver.send_ready()
    assert len(driver.finals) == 1


def test_nor_where_barge_in_is_off() -> None:
    driver = interrupted(barge_in_enabled=False)
    assert not onset(driver).data.barge_in
    driver.resolve(driver.wanted[1], says("Mm-hm."))
    driver.resolve(driver.wanted[0])
    driver.send_ready()
    assert len(driver.finals) == 2


def test_what_began_after_the_bot_did_is_not_withheld() -> None:
    driver = Driver(fasttalk_mode=True)
    bot(driver, "responding")
    driver.hear(silence(1.0))
    driver.hear(UTTERANCE)
    driver.hear(UTTERANCE)
    assert onset(driver).data.withheld_segments == 0


def test_the_second_of_two_interruptions_decides_if_the_first_was_noise() -> None:
    driver = interrupted()
    driver.hear(UTTERANCE)
    stale, first, second = driver.wanted
    driver.resolve(first, NOTHING_HEARD)
    driver.resolve(stale)
    driver.send_ready()
    assert driver.finals == [], "the second one has not spoken yet"
    driver.resolve(second, says("Stop."))
    driver.send_ready()
    assert [final.data.text for final in driver.finals] == ["Stop."]


def test_whoever_was_interrupted_in_turn_decides_nothing_any_more() -> None:
    """First while the bot thinks, then while it speaks; a cough behind that."""
    driver = Driver(fasttalk_mode=True)
    bot(driver, "processing")
    driver.hear(UTTERANCE)
    bot(driver, "responding")
    driver.hear(UTTERANCE)
    first, second = driver.wanted
    driver.resolve(second, says("Stop."))
    assert driver.cancelled == [first]
    driver.wanted.clear()
    driver.hear(UTTERANCE)
    driver.resolve(driver.wanted[0], NOTHING_HEARD)
    driver.end()
    assert [final.data.text for final in driver.finals] == ["Stop."]


def test_text_discards_what_it_withheld_and_not_itself() -> None:
    driver = Driver(fasttalk_mode=True)
    bot(driver, "processing")
    driver.hear(UTTERANCE)
    bot(driver, "responding")
    driver.hear(UTTERANCE)
    words, cough = driver.wanted
    driver.resolve(words, says("Please stop that."))
    driver.resolve(cough, NOTHING_HEARD)
    driver.send_ready()
    assert [final.data.text for final in driver.finals] == ["Please stop that."]
    assert rejections(driver) == [(2, "noise")]


def test_an_empty_answer_to_a_flush_decides_nothing() -> None:
    driver = interrupted()
    driver.do(driver.session.flush(driver.now_s))
    stale, new = driver.wanted
    driver.resolve(stale)
    driver.send_ready()
    assert driver.finals == []
    driver.resolve(new, says("Stop!"))
    driver.send_ready()
    assert [final.data.text for final in driver.finals] == ["Stop!", ""]


def test_an_interrupt_of_everything_leaves_nothing_withheld() -> None:
    driver = interrupted()
    driver.do(driver.session.interrupt("all", driver.now_s))
    driver.wanted.clear()
    bot(driver, "listening")
    driver.hear(UTTERANCE)
    driver.end()
    assert len(driver.finals) == 1


def test_a_flush_among_what_is_discarded_gets_its_answer() -> None:
    driver = Driver(fasttalk_mode=True)
    driver.hear(sound(1.0))
    driver.do(driver.session.flush(driver.now_s))
    driver.hear(silence(0.7))
    bot(driver, "responding")
    driver.hear(UTTERANCE)
    driver.resolve(driver.wanted[-1], says("Stop."))
    driver.wanted = [entry for entry in driver.wanted if not entry.cancelled]
    driver.send_ready()
    flushed = [f for f in driver.finals if f.data.metadata.reason == "flush"]
    assert [f.data.text for f in flushed] == [""]


@pytest.mark.parametrize(("amplitude", "n_onsets"), [(0.05, 1), (0.15, 2)])
def test_what_is_far_below_the_speakers_level_is_the_bots_own_voice(
    amplitude: float, n_onsets: int
) -> None:
    driver = Driver(fasttalk_mode=True)
    driver.hear(np.concatenate((sound(1.0, amplitude=0.5), silence(0.7))))
    driver.resolve(driver.wanted[0])
    bot(driver, "responding")
    driver.hear(np.concatenate((sound(1.0, amplitude=amplitude), silence(0.7))))
    assert len(driver.of_type("voice_activity_detected")) == n_onsets
    bot(driver, "listening")
    driver.hear(np.concatenate((sound(1.0, amplitude=amplitude), silence(0.7))))
    assert len(driver.of_type("voice_activity_detected")) == n_onsets + 1


def test_a_soft_end_is_heard_once_somebody_spoke_up() -> None:
    driver = Driver(fasttalk_mode=True)
    driver.hear(np.concatenate((sound(1.0, amplitude=0.5), silence(0.7))))
    driver.resolve(driver.wanted[0])
    bot(driver, "responding")
    driver.hear(
        np.concatenate((sound(0.3, amplitude=0.5), sound(0.5, amplitude=0.05), silence(0.7)))
    )
    segment = driver.wanted[0].segment
    assert segment.speech_end - segment.speech_start == 800 * 16


def test_a_stricter_ear_while_the_bot_speaks() -> None:
    for state, n_onsets in (("listening", 1), ("responding", 0)):
        driver = Driver(fasttalk_mode=True)
        bot(driver, state)
        driver.hear(np.concatenate((sound(0.12), silence(1.0))))
        assert len(driver.of_type("voice_activity_detected")) == n_onsets
