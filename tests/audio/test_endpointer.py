"""The endpointer over written frames: '#' is voiced, '.' is not; each is 20 ms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.audio.endpointer import (
    Endpointer,
    EndpointerSettings,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)
from fasttalk_stt.audio.vad import FRAME_SAMPLES, VoiceFrame

MS = 16


def frames(pattern: str) -> list[VoiceFrame]:
    return [
        VoiceFrame(i * FRAME_SAMPLES, (i + 1) * FRAME_SAMPLES, mark == "#", 0.5)
        for i, mark in enumerate(pattern)
    ]


def endpointer(silence_ms: int = 200, max_silence_ms: int = 2000, onset: int = 5) -> Endpointer:
    return Endpointer(
        EndpointerSettings(
            endpoint_silence_samples=silence_ms * MS,
            max_silence_samples=max_silence_ms * MS,
            onset_frames=onset,
        )
    )


def run(pattern: str, machine: Endpointer | None = None) -> list[SpeechEvent]:
    machine = machine or endpointer()
    events = [machine.push(frame) for frame in frames(pattern)]
    return [event for event in events if event is not None]


@pytest.mark.parametrize(
    ("pattern", "onset_ms", "detected_ms"),
    [
        ("#####", 0, 100),
        ("...#####", 60, 160),
        ("#.#.#.##", 0, 160),
        ("#.......#####", 160, 260),
    ],
)
def test_enough_voice_within_the_window_opens_an_utterance(
    pattern: str, onset_ms: int, detected_ms: int
) -> None:
    (started,) = run(pattern)
    assert isinstance(started, SpeechStarted)
    assert (started.onset, started.detected_at) == (onset_ms * MS, detected_ms * MS)
    assert 0 < started.confidence <= 1
    assert started.level == pytest.approx(0.5)


@pytest.mark.parametrize("pattern", ["####....", "#..#..#..#..#..#..", "##......##......##"])
def test_clicks_open_nothing(pattern: str) -> None:
    assert run(pattern) == []


def test_the_endpoint_comes_after_the_silence_and_knows_where_speech_ended() -> None:
    started, ended = run("######" + "." * 20)
    assert isinstance(started, SpeechStarted)
    assert ended == SpeechEnded(speech_end=120 * MS, decided_at=320 * MS, reason="speech_end")


def test_one_voiced_frame_in_a_pause_does_not_prolong_it() -> None:
    _, ended = run("######" + "....#....." + "..........")
    assert isinstance(ended, SpeechEnded)
    assert ended.speech_end == 120 * MS


def test_two_voiced_frames_in_a_pause_do() -> None:
    _, ended = run("######" + "....##...." + "..........")
    assert isinstance(ended, SpeechEnded)
    assert ended.speech_end == 240 * MS


def test_max_silence_ends_what_a_long_endpoint_silence_would_not() -> None:
    _, ended = run("######" + "." * 40, endpointer(silence_ms=5000, max_silence_ms=400))
    assert isinstance(ended, SpeechEnded)
    assert (ended.reason, ended.decided_at) == ("max_silence", 520 * MS)


def test_a_stricter_onset_needs_more_voice() -> None:
    assert run("######..", endpointer(onset=7)) == []
    assert len(run("#######.", endpointer(onset=7))) == 1


def test_a_second_utterance_follows_the_first() -> None:
    kinds = [type(event) for event in run(("######" + "." * 12) * 2)]
    assert kinds == [SpeechStarted, SpeechEnded, SpeechStarted, SpeechEnded]


def test_reset_forgets_the_utterance_and_the_candidate() -> None:
    machine = endpointer()
    run("####", machine)
    machine.reset()
    assert machine.candidate_onset is None
    assert run("####....", machine) == []


def test_the_candidate_is_known_before_it_is_confirmed() -> None:
    machine = endpointer()
    run("..##", machine)
    assert machine.candidate_onset == 40 * MS
    assert machine.candidate_voiced_samples == 40 * MS
    run("#####", machine)
    assert machine.candidate_onset is None


@given(st.text(alphabet="#.", max_size=300), st.integers(100, 1000))
def test_starts_and_ends_alternate_and_positions_only_grow(pattern: str, silence_ms: int) -> None:
    events = run(pattern, endpointer(silence_ms=silence_ms))
    kinds = [type(event) for event in events]
    assert kinds == ([SpeechStarted, SpeechEnded] * len(kinds))[: len(kinds)]
    positions: list[int] = []
    for event in events:
        if isinstance(event, SpeechStarted):
            positions += [event.onset, event.detected_at]
            assert event.detected_at - event.onset <= 160 * MS
        else:
            positions += [event.speech_end, event.decided_at]
            assert event.decided_at - event.speech_end >= silence_ms * MS
    assert positions == sorted(positions)
