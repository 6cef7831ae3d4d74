"""A session whose connection is lost goes on over another one: no word is lost, none comes twice.

The words are tones that the fake engine reads exactly. The caller keeps what the protocol says: the audio
behind `audio_committed_ms` and some of it before, and what it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import trio
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.tones import hear_tones, tone_word, tones
from tests.connection.conftest import Peer, serve
from tests.support import silence

CONTEXT_MS = 2000
LAST = {"speech_end", "max_silence", "session_end"}


@define
class Caller:
    """What a client notes of a session, over all of its connections."""

    messages: list[dict[str, Any]] = field(factory=list)

    def note(self, peer: Peer) -> None:
        """Take over what a connection brought that is lost or over."""
        self.messages.extend(peer.received)

    @property
    def finals(self) -> list[dict[str, Any]]:
        return [m["data"] for m in self.messages if m["type"] == "transcription"]

    @property
    def words(self) -> list[str]:
        return [word for final in self.finals for word in final["text"].split()]

    @property
    def committed_ms(self) -> int:
        return max((m["metadata"]["audio_committed_ms"] or 0 for m in self.messages), default=0)

    @property
    def under_way(self) -> dict[int, str]:
        """Utterances that were reported or begun, and not ended, with their text so far."""
        found: dict[int, str] = {}
        for message in self.messages:
            data = message.get("data", {})
            if message["type"] == "voice_activity_detected":
                found.setdefault(data["utterance"], "")
            elif message["type"] == "transcription":
                number = data["utterance"]
                found[number] = f"{found.get(number, '')} {data['text']}"
                if data["metadata"]["reason"] in LAST:
                    del found[number]
            elif message["type"] in {"voice_activity_rejected", "speech_ended"}:
                is_last = message["type"] == "voice_activity_rejected"
                if is_last or data["audio_end_ms"] <= message["metadata"]["audio_committed_ms"]:
                    found.pop(data["utterance"], None)
        return found

    def resume(self, session_id: str) -> dict[str, Any]:
        under_way = self.under_way
        numbers = [
            m["data"]["utterance"] for m in self.messages if "utterance" in m.get("data", {})
        ]
        onsets = {
            m["data"]["utterance"]: m["data"]["audio_start_ms"]
            for m in self.messages
            if m["type"] == "voice_activity_detected"
        }
        first = min(under_way, default=None)
        return {
            "session_id": session_id,
            "committed_ms": self.committed_ms,
            "audio_from_ms": max(self.committed_ms - CONTEXT_MS, 0),
            "seq": max(m["metadata"]["seq"] for m in self.messages),
            "utterance": max(numbers, default=0) if first is None else first,
            "onset_reported": max(under_way, default=False),
            "onset_ms": onsets.get(max(under_way)) if under_way else None,
            "text": "" if first is None else under_way[first].strip(),
            "words": [
                {name: time[name] for name in ("word", "start_ms", "end_ms")}
                for final in self.finals
                for time in final["timestamps"]
                if self.committed_ms - CONTEXT_MS <= time["start_ms"]
                and time["end_ms"] <= self.committed_ms
            ],
        }


def conversation(turns: Sequence[tuple[Sequence[int], float]]) -> npt.NDArray[np.float32]:
    """Words, and how many seconds of silence follow them."""
    pieces = [silence(0.5)]
    for numbers, pause_s in turns:
        pieces += [tones(numbers), silence(pause_s)]
    return np.concatenate(pieces)


async def talk(
    connect: Callable[[], Peer],
    audio: npt.NDArray[np.float32],
    cuts_s: Sequence[float],
    **config: object,
) -> Caller:
    """One session over as many connections as there are cuts, and one more."""
    caller = Caller()
    peer = connect()
    await peer.start(session_id="s", fasttalk_mode=True, **config)
    sent_to = 0
    for cut_s in [*cuts_s, None]:
        if caller.messages:
            resume = caller.resume("s")
            peer = connect()
            await peer.start(fasttalk_mode=True, resume=resume, **config)
            sent_from = resume["audio_from_ms"] * 16
            await peer.stream(audio[sent_from:sent_to], pace=0)
        until = len(audio) if cut_s is None else min(round(cut_s * 16_000), len(audio))
        await peer.stream(audio[sent_to:until])
        sent_to = max(sent_to, until)
        if cut_s is None:
            await peer.end()
        peer.stop_reading()
        caller.note(peer)
    return caller


def spoken(turns: Sequence[tuple[Sequence[int], float]]) -> list[str]:
    return [tone_word(number) for numbers, _ in turns for number in numbers]


def check(caller: Caller) -> None:
    seqs = [m["metadata"]["seq"] for m in caller.messages]
    assert seqs == sorted(set(seqs))
    onsets = [
        m["data"]["utterance"] for m in caller.messages if m["type"] == "voice_activity_detected"
    ]
    assert onsets == sorted(set(onsets))
    rejected = [
        m["data"]["utterance"] for m in caller.messages if m["type"] == "voice_activity_rejected"
    ]
    with_text = {final["utterance"] for final in caller.finals if final["text"]}
    assert with_text <= set(onsets)
    for number in onsets:
        assert (number in with_text) != (rejected.count(number) == 1), number
    end_ms = 0
    for final in caller.finals:
        assert final["metadata"]["audio_start_ms"] >= end_ms - 1
        end_ms = final["metadata"]["audio_start_ms"] + final["audio_duration_ms"]
        for time in final["timestamps"]:
            assert (
                final["metadata"]["audio_start_ms"] <= time["start_ms"] < time["end_ms"] <= end_ms
            )
    assert not caller.under_way


TURNS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 63), min_size=1, max_size=14), st.sampled_from([0.3, 0.8, 1.5])
    ),
    min_size=1,
    max_size=4,
)


def run(
    turns: Sequence[tuple[Sequence[int], float]],
    cuts_s: Sequence[float],
    *,
    cost_s: float = 0.3,
    **config: object,
) -> Caller:
    """Such a session from its beginning to its end, on a clock of its own."""
    audio = conversation(turns)

    async def session() -> Caller:
        engine = FakeEngine(hear_tones, cost_s=lambda requests: cost_s)
        async with serve(engine) as server:
            return await talk(server.connect, audio, sorted(cuts_s), **config)

    caller = trio.run(session, clock=MockClock(autojump_threshold=0))
    check(caller)
    assert caller.words == spoken(turns)
    return caller


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TURNS, st.lists(st.floats(0.1, 15.0), max_size=3), st.sampled_from([0.05, 0.4, 1.2]))
def test_no_word_is_lost_and_none_comes_twice(
    turns: list[tuple[list[int], float]], cuts_s: list[float], cost_s: float
) -> None:
    run(turns, cuts_s, cost_s=cost_s)
