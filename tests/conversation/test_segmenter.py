"""The segmenter's cuts: where they lie, what they hold, and what becomes of short audio."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.conversation.effort import (
    LEAST_EFFORT,
    LESS_CONTEXT_SAMPLES,
    USUAL_EFFORT,
    Effort,
)
from fasttalk_stt.conversation.segments import NOTHING_HEARD, Draft
from tests.conversation.driver import FAILURE, Driver, words_in
from tests.support import silence, sound

MS = 16


def test_an_utterance_has_its_pre_roll_and_its_last_consonant() -> None:
    driver = Driver()
    driver.hear(np.concatenate((silence(2.0), sound(1.0), silence(1.0))))
    (entry,) = driver.wanted
    segment = entry.segment
    assert (segment.start, segment.end) == ((2_000 - 300) * MS, (3_000 + 200) * MS)
    assert (segment.speech_start, segment.speech_end) == (2_000 * MS, 3_000 * MS)
    assert segment.speech is not None
    # It was asked for in the pause; what came later is the next one's pre-roll, if it needs one.
    assert len(segment.speech.samples) == segment.end - segment.start
    assert segment.speech.context_text == ""
    assert segment.ends_utterance


def test_a_shared_pre_roll_belongs_to_the_earlier_utterance() -> None:
    driver = Driver(endpoint_silence_ms=200)
    driver.hear(np.concatenate((sound(0.6), silence(0.3), sound(0.6), silence(0.6))))
    first, second = (entry.segment for entry in driver.wanted)
    assert second.start == first.end == (600 + 32) * MS
    assert second.speech_start - second.start >= 200 * MS


@pytest.mark.parametrize(("speech_s", "n_requests"), [(0.06, 0), (0.08, 0), (0.12, 1), (0.3, 1)])
def test_a_click_opens_nothing_and_a_short_yes_is_heard(speech_s: float, n_requests: int) -> None:
    driver = Driver()
    driver.hear(np.concatenate((silence(1.0), sound(speech_s), silence(1.5))))
    assert len(driver.wanted) == n_requests


def test_speech_not_yet_confirmed_is_not_lost_at_the_end() -> None:
    driver = Driver()
    driver.hear(np.concatenate((silence(1.0), sound(0.08))))
    driver.end()
    (final,) = driver.finals
    assert final.data.metadata.reason == "session_end"


def test_max_silence_ends_what_waits_for_a_longer_endpoint() -> None:
    driver = Driver(endpoint_silence_ms=5_000)
    driver.hear(np.concatenate((sound(1.0), silence(2.5))))
    (entry,) = driver.wanted
    assert entry.segment.reason == "max_silence"


def test_committed_words_go_on_as_context() -> None:
    driver = Driver()
    driver.hear(sound(2.6))
    driver.look()
    driver.send_ready()
    (final,) = driver.finals
    assert final.data.metadata.reason == "buffer_full"
    driver.hear(np.concatenate((sound(0.5), silence(0.8))))
    (entry,) = driver.wanted
    segment = entry.segment
    assert segment.speech is not None
    assert segment.speech.context_text.split() == final.data.text.split()
    assert segment.speech.start == 0
    assert segment.speech.context_samples == segment.start > 0
    assert len(segment.speech.samples) == (3_100 + 200) * MS


def test_a_draft_looks_at_all_that_is_open_when_it_is_taken_up() -> None:
    driver = Driver()
    driver.hear(sound(2.6))
    (draft,) = driver.drafts
    driver.hear(sound(0.6))
    driver.session.answers.renew(draft)
    assert draft.edge == pytest.approx(3_200 * MS, abs=512)
    assert len(draft.speech.samples) == draft.edge - draft.start
    driver.look()
    driver.send_ready()
    (final,) = driver.finals
    # Two of 0.4 s more than would be settled of 2.6 s.
    assert len(final.data.text.split()) == 5


def test_a_stale_draft_is_not_renewed() -> None:
    driver = Driver()
    driver.hear(sound(2.6))
    (draft,) = driver.drafts
    driver.do(driver.session.flush(driver.now_s))
    driver.hear(sound(0.6))
    before = draft.edge
    driver.session.answers.renew(draft)
    assert draft.edge == before


def test_the_first_partial_is_looked_for_soon_and_becomes_a_commit_in_time() -> None:
    driver = Driver(interim_results=True)
    driver.hear(np.concatenate((silence(1.0), sound(0.45))))
    (draft,) = driver.drafts
    assert not draft.may_commit
    driver.hear(sound(1.6))
    assert driver.drafts == [draft]
    assert not draft.may_commit
    driver.hear(sound(0.3))
    assert draft.may_commit


def test_several_commits_are_context_together() -> None:
    driver = Driver()
    driver.hear(sound(2.6))
    driver.look()
    for _ in range(4):
        driver.hear(sound(1.0))
        if driver.drafts:
            driver.look()
    driver.send_ready()
    assert len(driver.finals) >= 2
    driver.hear(silence(0.8))
    (entry,) = driver.wanted
    assert entry.segment.speech is not None
    committed = " ".join(final.data.text for final in driver.finals)
    context = entry.segment.speech.context_text
    assert committed.endswith(context)
    assert len(context.split()) > len(driver.finals[-1].data.text.split())


@pytest.mark.parametrize("command", ["flush", "end"])
def test_what_was_said_and_ended_opens_nothing_again(command: str) -> None:
    driver = Driver(fasttalk_mode=True, endpoint_silence_ms=200)
    driver.hear(np.concatenate((sound(1.0), silence(0.25))))
    driver.resolve(driver.wanted[0])
    if command == "flush":
        driver.do(driver.session.flush(driver.now_s))
    driver.end()
    assert len(driver.of_type("voice_activity_detected")) == 1


@pytest.mark.parametrize(("pause_s", "goes_on"), [(0.8, True), (1.5, False)])
def test_what_was_said_just_before_is_context(pause_s: float, goes_on: bool) -> None:
    driver = Driver()
    utterance = np.concatenate((sound(1.0), silence(pause_s)))
    driver.hear(utterance)
    driver.resolve(driver.wanted[0])
    driver.send_ready()
    driver.hear(utterance)
    (second,) = driver.wanted
    assert second.segment.speech is not None
    assert second.segment.speech.context_text == (driver.finals[0].data.text if goes_on else "")
    assert (second.segment.speech.context_samples > 0) is goes_on


def test_without_a_detector_what_was_said_before_is_context() -> None:
    driver = Driver(enable_vad=False)
    for _ in range(5):
        driver.hear(sound(1.0))
        while driver.drafts:
            driver.look()
    driver.send_ready()
    driver.hear(sound(1.0))
    driver.do(driver.session.flush(driver.now_s))
    (entry,) = driver.wanted
    assert entry.segment.speech is not None
    assert entry.segment.speech.context_text.split()[-1] == driver.finals[-1].data.text.split()[-1]


def test_audio_whose_words_are_not_known_leaves_no_context_behind_it() -> None:
    driver = Driver()
    utterance = np.concatenate((sound(1.0), silence(0.8)))
    driver.hear(utterance)
    driver.resolve(driver.wanted[0], FAILURE)
    driver.hear(utterance)
    assert driver.wanted[0].segment.speech is not None
    assert driver.wanted[0].segment.speech.context_text == ""


def test_the_window_of_a_request_never_exceeds_the_models() -> None:
    driver = Driver(buffer_duration=20)
    longest = 0
    for _ in range(60):
        driver.hear(sound(1.0))
        while driver.drafts:
            driver.session.answers.renew(driver.drafts[0])
            longest = max(longest, len(driver.drafts[0].speech.samples))
            driver.look()
    driver.end()
    assert 20_000 * MS < longest <= 28_000 * MS


def test_without_a_detector_a_commit_asks_for_no_look_at_what_was_just_seen() -> None:
    driver = Driver(enable_vad=False, interim_results=True)
    while not driver.finals:
        driver.hear(sound(0.1))
        while driver.drafts:
            driver.look()
        driver.send_ready()
    driver.hear(sound(0.1))
    assert driver.drafts == []


def test_the_listener_is_held_when_a_draft_does_not_come_back() -> None:
    driver = Driver()
    driver.hear(sound(23.0))
    assert not driver.session.waits_for_draft
    driver.hear(sound(1.5))
    assert driver.session.waits_for_draft
    driver.look()
    assert not driver.session.waits_for_draft


def test_noise_that_holds_the_detector_open_is_let_go() -> None:
    driver = Driver()
    for _ in range(15):
        driver.hear(sound(1.0))
        while driver.drafts:
            driver.look(NOTHING_HEARD)
    driver.send_ready()
    assert driver.finals == []
    assert driver.session.pending_s < 6.0


def test_a_stale_draft_changes_nothing() -> None:
    driver = Driver()
    driver.hear(sound(2.6))
    stale: Draft = driver.drafts[0]
    driver.do(driver.session.flush(driver.now_s))
    assert driver.session.answers.is_stale(stale)
    driver.look(words_in(stale.start, stale.edge))
    assert driver.finals == []


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_a_flush_reaches_to_the_last_sample_at_any_rate(rate_hz: int) -> None:
    driver = Driver(sample_rate=rate_hz)
    driver.hear(sound(1.0, rate_hz=rate_hz))
    driver.do(driver.session.flush(driver.now_s))
    (entry,) = driver.wanted
    assert entry.segment.end == 16_000
    assert entry.segment.speech is not None
    assert len(entry.segment.speech.samples) == 16_000


@pytest.mark.parametrize(
    ("effort", "edges_s"),
    [(USUAL_EFFORT, [0.4, 1.1, 1.8, 2.8, 3.8]), (LEAST_EFFORT, [0.4, 2.4, 3.9])],
)
def test_less_effort_makes_drafts_rarer(effort: Effort, edges_s: list[float]) -> None:
    driver = Driver(interim_results=True)
    driver.session.spend(effort)
    edges = []
    for _ in range(140):
        driver.hear(sound(0.032))
        while driver.drafts:
            edges.append(driver.drafts[0].edge)
            driver.look(failed=True)
    assert [edge / 16_000 for edge in edges] == pytest.approx(edges_s, abs=0.1)


def test_without_speculation_nothing_is_asked_for_before_the_endpoint() -> None:
    driver = Driver(speculates=False)
    driver.hear(np.concatenate((sound(1.0), silence(0.4))))
    assert driver.speculations == []
    driver.hear(silence(0.3))
    (entry,) = driver.wanted
    assert entry.segment.reason == "speech_end"
    assert entry.segment.speculation is None


def test_under_the_greatest_load_nothing_is_asked_for_in_a_pause() -> None:
    driver = Driver()
    driver.session.spend(LEAST_EFFORT)
    driver.hear(np.concatenate((sound(1.0), silence(0.4))))
    assert driver.speculations == []


def test_less_effort_carries_less_context() -> None:
    carried = []
    for effort in (USUAL_EFFORT, LEAST_EFFORT):
        driver = Driver()
        driver.session.spend(effort)
        for _ in range(80):
            driver.hear(sound(0.1))
            while driver.drafts:
                driver.look()
        driver.end()
        carried.append(driver.answered[-1].context_samples)
    usual, least = carried
    assert least <= LESS_CONTEXT_SAMPLES < usual
