"""The endpointer over written frames: '#' is voiced, '.' is not; each is 20 ms.

With the rule used here five voiced frames more than unvoiced ones open an utterance, and two resume.
"""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

MS = 16
FRAME_SAMPLES = 20 * MS
RULE = VoiceRule(bias=0.0, onset_evidence=6.5, resume_evidence=2.6, keep_probability=0.5)


def frames(pattern: str) -> list[VoiceFrame]:
    return [
        VoiceFrame(i * FRAME_SAMPLES, (i + 1) * FRAME_SAMPLES, 0.9 if mark == "#" else 0.1, 0.5)
        for i, mark in enumerate(pattern)
    ]


def endpointer(
    silence_ms: int = 200, max_silence_ms: int = 2000, pause_ms: int = 100, onset: float = 6.5
) -> Endpointer:
    return Endpointer(
        EndpointerSettings(
            rule=attrs.evolve(RULE, onset_evidence=onset),
            pause_samples=pause_ms * MS,
            endpoint_silence_samples=silence_ms * MS,
            max_silence_samples=max_silence_ms * MS,
        )
    )


def run(pattern: str, machine: Endpointer | None = None) -> list[SpeechEvent]:
    machine = machine or endpointer()
    return [event for frame in frames(pattern) for event in machine.push(frame)]


def kinds(events: list[SpeechEvent]) -> list[type]:
    return [type(event) for event in events]


@pytest.mark.parametrize(
    ("pattern", "onset_ms", "detected_ms"),
    [
        ("#####", 0, 100),
        ("...#####", 60, 160),
        ("##.####", 0, 140),
        ("#.......#####", 160, 260),
    ],
)
def test_enough_evidence_opens_an_utterance(pattern: str, onset_ms: int, detected_ms: int) -> None:
    (started,) = run(pattern)
    assert isinstance(started, SpeechStarted)
    assert (started.onset, started.detected_at) == (onset_ms * MS, detected_ms * MS)
    assert 0.5 < started.confidence <= 0.9
    assert started.level == pytest.approx(0.5)


@pytest.mark.parametrize("pattern", ["####....", "#..#..#..#..#..#..", "##......##......##"])
def test_clicks_open_nothing(pattern: str) -> None:
    assert run(pattern) == []


def test_the_endpoint_comes_after_the_silence_and_knows_where_speech_ended() -> None:
    started, paused, ended = run("######" + "." * 20)
    assert isinstance(started, SpeechStarted)
    assert paused == SpeechPaused(speech_end=120 * MS, at=220 * MS)
    assert ended == SpeechEnded(speech_end=120 * MS, decided_at=320 * MS, reason="speech_end")


def test_a_short_gap_is_no_pause() -> None:
    assert kinds(run("######" + "...." + "##")) == [SpeechStarted]


def test_one_voiced_frame_in_a_pause_does_not_prolong_it() -> None:
    events = run("######" + "......#..." + "..........")
    assert kinds(events) == [SpeechStarted, SpeechPaused, SpeechEnded]
    assert isinstance(events[-1], SpeechEnded)
    assert events[-1].speech_end == 120 * MS


def test_two_voiced_frames_in_a_pause_resume_the_utterance() -> None:
    events = run("######" + "......##" + "." * 20)
    assert kinds(events) == [SpeechStarted, SpeechPaused, SpeechResumed, SpeechPaused, SpeechEnded]
    assert events[2] == SpeechResumed(at=280 * MS, pause_samples=120 * MS)
    assert isinstance(events[-1], SpeechEnded)
    assert events[-1].speech_end == 280 * MS


def test_silence_is_decided_to_the_sample_between_frames() -> None:
    machine = endpointer(silence_ms=205)
    run("######", machine)
    assert kinds(machine.advance(219 * MS)) == []
    assert kinds(machine.advance(221 * MS)) == [SpeechPaused]
    assert kinds(machine.advance(325 * MS - 1)) == []
    (ended,) = machine.advance(330 * MS)
    assert ended == SpeechEnded(speech_end=120 * MS, decided_at=325 * MS, reason="speech_end")


def test_a_frame_does_not_undo_what_the_silence_before_its_end_decided() -> None:
    machine = endpointer(silence_ms=210, pause_ms=205)
    *pause, last = frames("######" + ".........." + "#")
    for frame in pause:
        machine.push(frame)
    assert kinds(machine.push(last)) == [SpeechPaused, SpeechEnded]


def test_the_endpoint_silence_may_change_while_it_lasts() -> None:
    machine = endpointer(silence_ms=1000)
    run("######" + "." * 10, machine)
    machine.settings = attrs.evolve(machine.settings, endpoint_silence_samples=150 * MS)
    (ended,) = machine.advance(330 * MS)
    assert isinstance(ended, SpeechEnded)
    assert ended.decided_at == 320 * MS, "not before what was heard when it changed"


def test_max_silence_ends_what_a_long_endpoint_silence_would_not() -> None:
    *_, ended = run("######" + "." * 40, endpointer(silence_ms=5000, max_silence_ms=400))
    assert isinstance(ended, SpeechEnded)
    assert (ended.reason, ended.decided_at) == ("max_silence", 520 * MS)


def test_a_stricter_onset_needs_more_voice() -> None:
    assert run("######..", endpointer(onset=9.3)) == []
    assert len(run("#######.", endpointer(onset=9.3))) == 1


def test_a_second_utterance_follows_the_first() -> None:
    events = run(("######" + "." * 12) * 2)
    assert kinds(events) == [SpeechStarted, SpeechPaused, SpeechEnded] * 2


def test_voice_that_came_too_late_to_resume_counts_for_the_next_onset() -> None:
    events = run("######" + "." * 9 + "#" + "####")
    assert kinds(events) == [SpeechStarted, SpeechPaused, SpeechEnded, SpeechStarted]
    assert isinstance(events[-1], SpeechStarted)
    assert events[-1].onset == 300 * MS


def test_reset_forgets_the_utterance_and_the_candidate() -> None:
    machine = endpointer()
    run("####", machine)
    machine.reset()
    assert machine.candidate_frames == []
    assert run("####....", machine) == []


def test_the_candidate_is_known_before_it_is_confirmed() -> None:
    machine = endpointer()
    run("..##", machine)
    assert [frame.start for frame in machine.candidate_frames] == [40 * MS, 60 * MS]
    run("#####", machine)
    assert machine.candidate_frames == []


@given(
    st.text(alphabet="#.", max_size=300),
    st.integers(100, 1000),
    st.integers(60, 120),
    st.lists(st.integers(0, 320), max_size=30),
)
def test_order_holds_whatever_is_heard(
    pattern: str, silence_ms: int, pause_ms: int, edges: list[int]
) -> None:
    machine = endpointer(silence_ms=silence_ms, pause_ms=pause_ms)
    events: list[SpeechEvent] = []
    for i, frame in enumerate(frames(pattern)):
        events += machine.push(frame)
        if i < len(edges):
            events += machine.advance(frame.end + edges[i] % FRAME_SAMPLES)
    after = {
        None: {SpeechStarted},
        SpeechStarted: {SpeechPaused},
        SpeechPaused: {SpeechResumed, SpeechEnded},
        SpeechResumed: {SpeechPaused},
        SpeechEnded: {SpeechStarted},
    }
    previous = None
    position = 0
    for event in events:
        assert type(event) in after[previous]
        previous = type(event)
        at = {
            SpeechStarted: lambda e: e.detected_at,
            SpeechPaused: lambda e: e.at,
            SpeechResumed: lambda e: e.at,
            SpeechEnded: lambda e: e.decided_at,
        }[type(event)](event)
        assert at >= position
        position = at
        if isinstance(event, SpeechEnded):
            assert event.decided_at - event.speech_end == silence_ms * MS


@given(st.text(alphabet="#.", max_size=200), st.integers(100, 500), st.data())
def test_the_cut_of_the_stream_into_messages_decides_nothing(
    pattern: str, silence_ms: int, data: st.DataObject
) -> None:
    whole = run(pattern, endpointer(silence_ms=silence_ms))
    machine = endpointer(silence_ms=silence_ms)
    chopped: list[SpeechEvent] = []
    for frame in frames(pattern):
        chopped += machine.advance(frame.start + data.draw(st.integers(0, FRAME_SAMPLES - 1)))
        chopped += machine.push(frame)
    assert chopped == whole
