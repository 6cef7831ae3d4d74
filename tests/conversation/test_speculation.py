"""Text that is there when the endpoint is: asked for in a pause, kept or dropped."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.conversation.segments import Heard, HeardWord
from fasttalk_stt.protocol.server_messages import EagerRetracted, EagerTranscription
from tests.conversation.driver import FAILURE, Driver
from tests.support import silence, sound

MS = 16


def pausing(**config: object) -> Driver:
    """One second of speech and a pause of 200 ms, in which an answer is awaited."""
    driver = Driver(**config)
    driver.hear(np.concatenate((sound(1.0), silence(0.2))))
    assert len(driver.speculations) == 1
    return driver


@pytest.mark.parametrize(
    ("config", "pause_ms"),
    [
        ({}, 200),
        ({"endpoint_silence_ms": 5_000}, 200),
        ({"endpoint_silence_ms": 400}, 100),
        ({"endpoint_silence_ms": 200}, 32),
        ({"eager_results": True}, 64),
        ({"eager_results": True, "endpoint_silence_ms": 5_000}, 64),
    ],
)
def test_text_is_asked_for_in_time_for_the_endpoint(
    config: dict[str, object], pause_ms: int
) -> None:
    driver = Driver(**config)
    driver.hear(np.concatenate((sound(1.0), silence(pause_ms / 1000 - 0.002))))
    assert driver.speculations == []
    driver.hear(silence(0.064))
    (speculation,) = driver.speculations
    assert speculation.segment.end == (1_000 + pause_ms) * MS


def test_an_answer_that_came_in_the_pause_is_the_text_at_the_endpoint() -> None:
    driver = pausing()
    driver.speculate()
    driver.send_ready()
    assert driver.finals == []
    driver.hear(silence(0.4))
    driver.send_ready()
    (final,) = driver.finals
    assert final.data.text
    assert final.data.metadata.reason == "speech_end"
    assert final.data.processing_time_ms == 0
    assert driver.wanted == []


def test_an_answer_that_comes_after_the_endpoint_is_the_text_too() -> None:
    driver = pausing()
    driver.hear(silence(0.4))
    (entry,) = driver.wanted
    driver.resolve(entry)
    driver.send_ready()
    assert len(driver.finals) == 1


def test_speech_that_resumes_drops_the_answer() -> None:
    driver = pausing()
    (stale,) = driver.speculations
    driver.hear(sound(0.5))
    assert driver.session.answers.is_stale(stale)
    driver.speculate()
    driver.hear(silence(0.7))
    (entry,) = driver.wanted
    assert entry.segment.speculation is not stale
    assert entry.segment.utterance == 1
    driver.resolve(entry)
    driver.send_ready()
    (final,) = driver.finals
    assert final.data.audio_duration_ms == 1_700 + 200


def test_a_speculation_that_failed_is_asked_again_as_the_segment() -> None:
    driver = pausing()
    driver.speculate(failed=True)
    driver.hear(silence(0.4))
    (entry,) = driver.wanted
    assert entry.segment.speculation is None
    driver.resolve(entry)
    driver.send_ready()
    assert len(driver.finals) == 1


def test_one_that_fails_after_the_endpoint_is_asked_again_before_it_is_an_error() -> None:
    driver = pausing()
    driver.hear(silence(0.4))
    (entry,) = driver.wanted
    driver.do(
        driver.session.answers.resolve_speculation(entry.segment.speculation, None, driver.now_s)
    )
    driver.send_ready()
    assert driver.of_type("error") == []
    driver.resolve(entry, FAILURE)
    driver.send_ready()
    assert len(driver.of_type("error")) == 1


@pytest.mark.parametrize("command", ["flush", "end", "stall"])
def test_commands_in_the_pause_use_what_was_asked(command: str) -> None:
    driver = pausing(eager_results=True)
    driver.speculate()
    if command == "end":
        driver.end()
    else:
        driver.do(getattr(driver.session, command)(driver.now_s))
    driver.send_ready()
    (eager,) = driver.of_type("eager_transcription")
    assert isinstance(eager, EagerTranscription)
    assert [final.data.text for final in driver.finals] == [eager.data.text]
    assert driver.of_type("eager_retracted") == []


def test_a_draft_that_comes_back_in_the_pause_commits_nothing() -> None:
    driver = Driver()
    driver.hear(np.concatenate((sound(2.7), silence(0.2))))
    driver.look()
    driver.send_ready()
    assert driver.finals == []


def test_the_word_that_wants_another_one_waits_for_it() -> None:
    """The adaptive endpointer reads what was said before the pause."""
    lengths = []
    for text in (" Stop it.", " and"):
        driver = Driver(endpointer="adaptive")
        driver.hear(np.concatenate((sound(1.0), silence(0.2))))
        driver.speculate(Heard((HeardWord(text, 0, 1_000 * MS, 0.9),), language="en"))
        waited = 0.2
        while not driver.finals:
            driver.hear(silence(0.032))
            driver.send_ready()
            waited += 0.032
            assert waited < 5
        lengths.append(waited)
    assert 0.45 < lengths[0] < 0.6
    assert lengths[1] > 1.5 * lengths[0]


def eager(**config: object) -> Driver:
    driver = pausing(eager_results=True, fasttalk_mode=True, **config)
    driver.speculate()
    assert driver.types[-1] == "eager_transcription"
    return driver


def test_eager_text_comes_again_as_it_was() -> None:
    driver = eager()
    driver.hear(silence(0.4))
    driver.send_ready()
    assert driver.types[-3:] == ["eager_transcription", "speech_ended", "transcription"]
    shown = driver.of_type("eager_transcription")[0]
    assert isinstance(shown, EagerTranscription)
    assert driver.finals[0].data.text == shown.data.text
    assert shown.data.metadata.audio_start_ms == driver.finals[0].data.metadata.audio_start_ms


@pytest.mark.parametrize("reason", ["resumed", "interrupted"])
def test_or_it_is_taken_back(reason: str) -> None:
    driver = eager()
    if reason == "resumed":
        driver.hear(sound(0.5))
    else:
        driver.do(driver.session.interrupt("all", driver.now_s))
    (retracted,) = driver.of_type("eager_retracted")
    assert isinstance(retracted, EagerRetracted)
    assert retracted.data.reason == reason


def test_eager_text_whose_segment_is_interrupted_is_taken_back() -> None:
    driver = eager()
    driver.hear(silence(0.4))  # closed, not yet sent
    driver.do(driver.session.interrupt("all", driver.now_s))
    driver.send_ready()
    assert driver.finals == []
    (retracted,) = driver.of_type("eager_retracted")
    assert isinstance(retracted, EagerRetracted)
    assert retracted.data.reason == "interrupted"


def test_a_flush_behind_new_speech_supersedes_it() -> None:
    driver = eager()
    driver.hear(sound(0.03))  # not enough to resume
    driver.do(driver.session.flush(driver.now_s))
    (retracted,) = driver.of_type("eager_retracted")
    assert isinstance(retracted, EagerRetracted)
    assert retracted.data.reason == "superseded"


def test_nothing_is_shown_eagerly_unless_asked_for() -> None:
    driver = pausing()
    driver.speculate()
    assert "eager_transcription" not in driver.types


@pytest.mark.parametrize("speculates", [True, False])
def test_a_look_that_a_pause_has_stopped_is_due_when_speech_goes_on(speculates: bool) -> None:
    driver = Driver(speculates=speculates)
    driver.hear(np.concatenate((sound(2.6), silence(0.25))))
    (stopped,) = driver.drafts
    driver.hear(sound(0.1))
    assert driver.session.answers.is_stale(stopped)
    assert len(driver.drafts) == 2
    driver.look()
    driver.look()
    driver.send_ready()
    assert len(driver.finals) == 1


def test_the_judge_of_turns_hears_what_was_committed_before() -> None:
    driver = Driver()
    driver.hear(sound(2.6))
    driver.look()
    driver.hear(np.concatenate((sound(1.0), silence(0.25))))
    (speculation,) = driver.speculations
    assert len(speculation.turn_samples) > 3.5 * 16_000
    assert len(speculation.speech.samples) <= len(speculation.turn_samples)
