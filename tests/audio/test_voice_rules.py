"""What the rules make of probabilities: each character of a pattern is one frame of 32 ms."""

from __future__ import annotations

import pytest

from fasttalk_stt.audio.endpointer import (
    Endpointer,
    EndpointerSettings,
    SpeechEnded,
    SpeechEvent,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)
from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule
from fasttalk_stt.audio.voice_rules import silero_rule

FRAME_SAMPLES = 512
PROBABILITIES = {"#": 0.97, "+": 0.75, "-": 0.55, "_": 0.3, ".": 0.05}
SENSITIVITIES = range(4)


def run(pattern: str, rule: VoiceRule, *, endpoint_ms: int = 500) -> list[SpeechEvent]:
    machine = Endpointer(
        EndpointerSettings(
            rule=rule,
            pause_samples=1280,
            endpoint_silence_samples=endpoint_ms * 16,
            max_silence_samples=32_000,
        )
    )
    events = []
    for i, mark in enumerate(pattern):
        start = i * FRAME_SAMPLES
        events += machine.push(
            VoiceFrame(start, start + FRAME_SAMPLES, PROBABILITIES[mark], level=0.5)
        )
    return events


def kinds(pattern: str, rule: VoiceRule) -> list[type]:
    return [type(event) for event in run(pattern, rule)]


def lowest_probability_that_opens(rule: VoiceRule) -> float:
    """In one frame, in steps of 0.01."""
    for percent in range(50, 100):
        machine = Endpointer(EndpointerSettings(rule, 1280, 8000, 32_000))
        if machine.push(VoiceFrame(0, FRAME_SAMPLES, percent / 100, 0.5)):
            return percent / 100
    return 1.0


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
@pytest.mark.parametrize("bot_is_speaking", [False, True])
def test_sure_frames_open_an_utterance_at_once(sensitivity: int, bot_is_speaking: bool) -> None:
    [started] = run("...##", silero_rule(sensitivity, bot_is_speaking=bot_is_speaking))
    assert isinstance(started, SpeechStarted)
    assert started.onset == 3 * FRAME_SAMPLES
    assert started.detected_at == 4 * FRAME_SAMPLES


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
def test_even_odds_open_nothing_however_long(sensitivity: int) -> None:
    rule = silero_rule(sensitivity, bot_is_speaking=False)
    assert run("-" * 500, rule) == []


def test_middling_voice_opens_when_it_lasts() -> None:
    """As on a telephone line, of which Silero is never quite sure."""
    rule = silero_rule(2, bot_is_speaking=False)
    assert run("+" * 13 + "." * 10, rule) == []
    [started] = run("+" * 14, rule)
    assert isinstance(started, SpeechStarted)
    assert started.onset == 0


def test_an_onset_reaches_back_over_faint_voice() -> None:
    rule = silero_rule(2, bot_is_speaking=False)
    [started] = run("...--.+-..........##", rule)
    assert isinstance(started, SpeechStarted)
    assert started.onset == 18 * FRAME_SAMPLES
    assert started.earliest == 3 * FRAME_SAMPLES
    assert [frame.probability for frame in started.frames] == [0.55, 0.55, 0.75, 0.55, 0.97]


def test_faint_voice_long_before_an_onset_does_not_belong_to_it() -> None:
    rule = silero_rule(2, bot_is_speaking=False)
    [started] = run("--" + "." * 15 + "##", rule)
    assert isinstance(started, SpeechStarted)
    assert started.earliest == started.onset


def test_an_onset_does_not_reach_back_into_an_utterance_that_is_over() -> None:
    rule = silero_rule(2, bot_is_speaking=False)
    events = run("#####" + "." * 18 + "#", rule, endpoint_ms=350)
    *_, ended, started = events
    assert isinstance(ended, SpeechEnded)
    assert isinstance(started, SpeechStarted)
    assert started.earliest == 23 * FRAME_SAMPLES


def test_nothing_reaches_back_over_what_the_bot_says() -> None:
    [quiet] = run("______.##", silero_rule(2, bot_is_speaking=False))
    [busy] = run("______.##", silero_rule(2, bot_is_speaking=True))
    assert isinstance(quiet, SpeechStarted)
    assert isinstance(busy, SpeechStarted)
    assert quiet.earliest == 0
    assert busy.earliest == busy.onset


def test_an_onset_reaches_back_three_seconds_at_most() -> None:
    rule = silero_rule(3, bot_is_speaking=False)
    [started] = run("-" * 200 + "#", rule)
    assert isinstance(started, SpeechStarted)
    assert 2.9 * 16_000 < started.detected_at - started.earliest <= 3.0 * 16_000


def test_each_sensitivity_is_stricter_than_the_one_before() -> None:
    opens_at = [
        lowest_probability_that_opens(silero_rule(each, bot_is_speaking=False))
        for each in SENSITIVITIES
    ]
    assert opens_at == sorted(set(opens_at))


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
def test_while_the_bot_speaks_the_rule_is_stricter(sensitivity: int) -> None:
    quiet, speaking = (
        lowest_probability_that_opens(silero_rule(sensitivity, bot_is_speaking=each))
        for each in (False, True)
    )
    assert speaking > quiet


def test_the_two_edges_differ_so_a_fading_word_stays_whole() -> None:
    [started] = run("##" + "-" * 100, silero_rule(2, bot_is_speaking=False))
    assert isinstance(started, SpeechStarted)


def test_speech_resumes_sooner_than_it_starts() -> None:
    rule = silero_rule(2, bot_is_speaking=False)
    assert run("....+", rule) == []
    assert kinds("##....+", rule) == [SpeechStarted, SpeechPaused, SpeechResumed]


def test_a_doubtful_frame_in_a_pause_does_not_resume() -> None:
    rule = silero_rule(2, bot_is_speaking=False)
    events = run("##....-" + "." * 12, rule)
    assert [type(event) for event in events] == [SpeechStarted, SpeechPaused, SpeechEnded]
    ended = events[-1]
    assert isinstance(ended, SpeechEnded)
    assert ended.speech_end == 2 * FRAME_SAMPLES
