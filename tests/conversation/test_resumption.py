"""A session that goes on from a lost connection: what counts, what is owed, what is not said again."""

from __future__ import annotations

import pytest

from fasttalk_stt.protocol.server_messages import (
    SessionEnded,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from tests.conversation.driver import Driver
from tests.support import silence, sound

RESUME = {
    "session_id": "s",
    "committed_ms": 5000,
    "audio_from_ms": 3000,
    "seq": 7,
    "utterance": 2,
    "onset_reported": False,
}


def going_on(**changes: object) -> Driver:
    return Driver(fasttalk_mode=True, resume={**RESUME, **changes})


def onsets(driver: Driver) -> list[int]:
    return [m.data.utterance for m in driver.messages if isinstance(m, VoiceActivityDetected)]


def rejections(driver: Driver) -> list[tuple[int, str]]:
    return [
        (m.data.utterance, m.data.reason)
        for m in driver.messages
        if isinstance(m, VoiceActivityRejected)
    ]


def test_what_was_settled_before_is_context_and_nothing_else() -> None:
    driver = going_on()
    driver.hear(sound(1.0))
    driver.hear(silence(2.0))
    driver.end()
    assert driver.types == ["session_started", "session_ended"]
    ended = driver.messages[-1]
    assert isinstance(ended, SessionEnded)
    assert (ended.audio.received_ms, ended.audio.silence_ms) == (1000, 1000)
    assert [stamp.seq for _, stamp in driver.sent] == [8, 9]
    assert [stamp.audio_committed_ms for _, stamp in driver.sent] == [5000, 6000]


def test_the_next_utterance_has_the_next_number_and_times_on_the_sessions_clock() -> None:
    driver = going_on()
    driver.hear(silence(2.5))
    driver.hear(sound(1.0))
    driver.hear(silence(1.0))
    driver.end()
    assert onsets(driver) == [3]
    [final] = driver.finals
    assert final.data.utterance == 3
    assert final.data.metadata.audio_start_ms == pytest.approx(5200, abs=40)
    assert final.data.timestamps is not None
    assert final.data.timestamps[0].start_ms >= final.data.metadata.audio_start_ms


def test_an_utterance_that_was_reported_is_not_reported_again() -> None:
    driver = going_on(onset_reported=True, onset_ms=5600)
    driver.hear(silence(2.6))
    driver.hear(sound(1.0))
    driver.hear(silence(1.5))
    driver.hear(sound(1.0))
    driver.hear(silence(1.0))
    driver.end()
    assert [final.data.utterance for final in driver.finals] == [2, 3]
    assert onsets(driver) == [3]
    assert not rejections(driver)


def test_onsets_that_are_not_heard_again_are_rejected_and_their_numbers_are_used_up() -> None:
    driver = going_on(onset_reported=3, onset_ms=5600)
    driver.hear(silence(5.0))
    assert rejections(driver) == [(2, "noise"), (3, "noise")]
    driver.hear(sound(1.0))
    driver.end()
    assert onsets(driver) == [4]
    assert len(rejections(driver)) == 2


def test_what_is_owed_is_given_at_the_end_at_the_latest() -> None:
    driver = going_on(onset_reported=True)
    driver.hear(silence(4.0))
    assert not rejections(driver)
    driver.end()
    assert rejections(driver) == [(2, "noise")]


def test_an_utterance_with_text_goes_on_though_nothing_more_is_said() -> None:
    driver = going_on(onset_reported=True, onset_ms=4100, text="so I")
    assert driver.session.utterance_open
    driver.hear(silence(3.0))
    driver.end()
    assert not driver.finals
    assert not rejections(driver)
    assert driver.of_type("speech_ended")
    assert not driver.session.utterance_open


def test_an_utterance_that_began_before_what_is_settled_is_open_without_text_too() -> None:
    driver = going_on(onset_reported=True, onset_ms=4100)
    assert driver.session.utterance_open
    driver.hear(silence(3.0))
    driver.end()
    assert rejections(driver) == [(2, "too_short")]
    assert not driver.session.utterance_open


def test_partials_begin_with_the_text_there_was() -> None:
    driver = Driver(
        fasttalk_mode=True,
        interim_results=True,
        resume={**RESUME, "onset_reported": True, "onset_ms": 4100, "text": "so I"},
    )
    driver.hear(sound(3.5))
    driver.look()
    [partial] = driver.of_type("partial_transcription")
    assert partial.data.stable_text == "so I"
    assert partial.data.text.startswith("so I w")
    assert partial.data.audio_start_ms == 5000


def test_an_interrupt_answers_what_is_owed() -> None:
    driver = going_on(onset_reported=True, onset_ms=5600)
    driver.hear(silence(1.0))
    driver.do(driver.session.interrupt("all", driver.now_s))
    assert rejections(driver) == [(2, "interrupted")]
    driver.end()
    assert len(rejections(driver)) == 1


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_other_rates_have_the_same_clock(rate_hz: int) -> None:
    driver = Driver(sample_rate=rate_hz, resume=RESUME)
    driver.hear(silence(2.5, rate_hz))
    driver.hear(sound(1.0, rate_hz=rate_hz))
    driver.end()
    [final] = driver.finals
    end_ms = final.data.metadata.audio_start_ms + final.data.audio_duration_ms
    assert end_ms == pytest.approx(6500, abs=3)
    ended = driver.messages[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.audio.received_ms == pytest.approx(1500, abs=1)
    assert ended.audio.received_ms == ended.audio.silence_ms + ended.audio.transcribed_ms


@pytest.mark.parametrize("enable_vad", [True, False])
@pytest.mark.parametrize("replayed_s", [0.0, 1.0, 1.99])
def test_a_session_may_end_before_it_was_sent_all_that_is_settled(
    replayed_s: float, enable_vad: bool
) -> None:
    driver = going_on(onset_reported=True, onset_ms=4100, text="so I", enable_vad=enable_vad)
    driver.hear(sound(replayed_s))
    driver.do(driver.session.flush(driver.now_s))
    driver.end()
    assert not any(final.data.text for final in driver.finals)
    ended = driver.messages[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.audio.received_ms == 0
    assert {stamp.audio_committed_ms for _, stamp in driver.sent} == {5000}


def test_after_an_interrupt_what_is_heard_again_has_a_number_of_its_own() -> None:
    driver = going_on(onset_reported=True, onset_ms=5600)
    driver.do(driver.session.interrupt("all", driver.now_s))
    driver.hear(silence(2.6))
    driver.hear(sound(1.0))
    driver.hear(silence(1.0))
    driver.end()
    assert rejections(driver) == [(2, "interrupted")]
    assert onsets(driver) == [3]
    assert [final.data.utterance for final in driver.finals] == [3]


WORDS = [
    {"word": "old", "start_ms": 2900, "end_ms": 3100},
    {"word": "so", "start_ms": 4300, "end_ms": 4500},
    {"word": "I", "start_ms": 4600, "end_ms": 4900},
    {"word": "late", "start_ms": 4950, "end_ms": 5100},
]


def test_the_words_before_the_cut_are_the_context_of_the_first_request() -> None:
    driver = going_on(onset_reported=True, onset_ms=4300, text="so I", words=WORDS)
    driver.hear(sound(2.6))
    driver.hear(silence(0.6))
    [entry] = driver.wanted
    speech = entry.segment.speech
    assert speech is not None
    assert speech.context_text == "so I"
    # From the first of the words on, 4,300 ms: 700 ms before what is committed.
    assert speech.context_samples == 700 * 16
    assert len(speech.samples) == entry.segment.end - entry.segment.start + 700 * 16


def test_whoever_begins_anew_long_after_the_words_has_no_context() -> None:
    driver = going_on(words=WORDS)
    driver.hear(silence(4.0))
    driver.hear(sound(1.0))
    driver.hear(silence(0.6))
    [entry] = driver.wanted
    assert entry.segment.speech is not None
    assert entry.segment.speech.context_text == ""
