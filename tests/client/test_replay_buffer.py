from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.client.replay_buffer import Audio, Command, ReplayBuffer
from fasttalk_stt.protocol.client_messages import ContextUpdate, FlushBuffer


def pcm(start: int, end: int) -> bytes:
    """16-bit samples that tell their own position."""
    return b"".join((n % 65_536).to_bytes(2, "little") for n in range(start, end))


def buffer(rate_hz: int = 8_000) -> ReplayBuffer:
    return ReplayBuffer(sample_rate_hz=rate_hz, bytes_per_sample=2)


def drain(kept: ReplayBuffer) -> list[Audio | Command]:
    sent = []
    while (item := kept.next()) is not None:
        sent.append(item)
    return sent


@given(
    st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]),
    st.lists(st.integers(1, 3_000), min_size=1, max_size=20),
    st.data(),
)
def test_a_replay_begins_at_the_right_sample(
    rate_hz: int, lengths: list[int], data: st.DataObject
) -> None:
    kept = buffer(rate_hz)
    total = 0
    for length in lengths:
        kept.add_audio(pcm(total, total + length))
        total += length
    drain(kept)
    committed_ms = data.draw(st.integers(0, total * 1000 // rate_hz))
    kept.commit(committed_ms)
    replay = kept.rewind()
    assert replay.audio_from_ms == max(0, committed_ms - 2000)
    first = replay.audio_from_ms * rate_hz // 1000
    audio = b"".join(item.data for item in drain(kept) if isinstance(item, Audio))
    assert audio == pcm(first, total)
    assert kept.unsettled_s == pytest.approx((total - committed_ms * rate_hz // 1000) / rate_hz)


def test_frames_that_wait_go_together_up_to_half_a_second() -> None:
    kept = buffer()
    for start in range(0, 8_000, 100):
        kept.add_audio(pcm(start, start + 100))
    assert [item.end for item in drain(kept) if isinstance(item, Audio)] == [4_000, 8_000]


def test_a_command_keeps_its_place() -> None:
    kept = buffer()
    kept.add_audio(pcm(0, 100))
    flush = kept.add_command(FlushBuffer())
    kept.add_audio(pcm(100, 200))
    first, second, third = drain(kept)
    assert (second, flush.position) == (flush, 100)
    assert isinstance(first, Audio)
    assert isinstance(third, Audio)
    assert (first.end, third.start) == (100, 100)


def test_what_stands_in_the_lead_in_is_sent_behind_it() -> None:
    kept = buffer()
    kept.add_audio(pcm(0, 8_000))
    flush = kept.add_command(FlushBuffer())
    kept.add_audio(pcm(8_000, 24_000))
    drain(kept)
    kept.commit(2_000)
    kept.rewind()
    sent = drain(kept)
    place = sent.index(flush)
    before = sent[place - 1]
    assert isinstance(before, Audio)
    assert before.end == 16_000


def test_a_lasting_command_is_taken_out_once_it_is_answered_passed_and_settled() -> None:
    kept = buffer()
    kept.add_audio(pcm(0, 8_000))
    context = kept.add_command(ContextUpdate(conversation_state="responding"))
    kept.add_audio(pcm(8_000, 16_000))
    drain(kept)
    assert kept.commit(1_500) == [], "not answered"
    context.answered = True
    assert kept.commit(900) == [context], "committed never goes back"
    later = kept.add_command(ContextUpdate(conversation_state="listening"))
    drain(kept)
    later.answered = True
    assert kept.commit(1_999) == [], "not settled"
    kept.rewind()
    assert kept.commit(2_000) == [], "the clamp: this connection has not got there"
    drain(kept)
    assert kept.commit(2_000) == [later]


def test_answered_commands_before_the_commit_go_with_the_rewind() -> None:
    kept = buffer()
    flush = kept.add_command(FlushBuffer())
    context = kept.add_command(ContextUpdate(conversation_state="responding"))
    drain(kept)
    context.answered = True
    assert kept.commit(0) == [], "the flush before it is not answered"
    kept.forget(flush)
    assert kept.rewind().lasting == (context,)
    assert drain(kept) == []


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes are no whole number of samples of 2 bytes"):
        buffer().add_audio(b"abc")
