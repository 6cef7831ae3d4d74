from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.client.heartbeat import Heartbeat


def test_a_ping_a_second_and_dead_after_five_of_silence() -> None:
    heartbeat = Heartbeat(10.0)
    assert heartbeat.next_ping_at_s == 11.0
    assert heartbeat.expires_at_s == math.inf
    heartbeat.pinged(11.0)
    assert heartbeat.next_ping_at_s == math.inf
    assert heartbeat.expires_at_s == 16.0
    heartbeat.heard(15.9)
    assert heartbeat.expires_at_s == math.inf
    assert heartbeat.next_ping_at_s == 15.9


@given(st.lists(st.floats(0.01, 1.0), max_size=50))
def test_audio_at_the_pace_of_speech_leaves_the_time_out_as_it_is(frames_s: list[float]) -> None:
    heartbeat = Heartbeat(0.0)
    now_s = 0.0
    for frame_s in frames_s:
        now_s += frame_s
        heartbeat.sent_audio(frame_s, now_s)
    heartbeat.pinged(now_s)
    assert heartbeat.expires_at_s <= now_s + 5.0 + max(frames_s, default=0.0) + 1e-9


def test_what_cannot_be_answered_is_over_after_its_grace() -> None:
    heartbeat = Heartbeat(0.0)
    heartbeat.silenced(3.0, 2.0)
    heartbeat.heard(4.0)
    assert (heartbeat.expires_at_s, heartbeat.next_ping_at_s) == (5.0, math.inf)
    heartbeat.not_listening(4.5)
    assert heartbeat.expires_at_s == 6.5


def test_a_burst_is_given_its_length() -> None:
    heartbeat = Heartbeat(0.0)
    heartbeat.sent_audio(60.0, 0.0)
    heartbeat.pinged(1.0)
    assert heartbeat.expires_at_s == 1.0 + 5.0 + 59.0
