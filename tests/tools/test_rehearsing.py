"""Rehearsals notice what goes wrong: words lost or doubled, promises broken, connections cut."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.tones import hear_tones
from tools.fuzzing.witness import Footprint
from tools.hearing.audio import RATE_HZ
from tools.hearing.listening import setup
from tools.hearing.mixtures import Source
from tools.rehearse import is_kept
from tools.rehearsing.conversation import make_conversation
from tools.rehearsing.cuts import LONGEST_S, Talk, random_plan, talk_figures
from tools.rehearsing.network import Cut, How, Network
from tools.rehearsing.seams import seam_figures
from tools.rehearsing.soak import Look, drift
from tools.rehearsing.speaking import Spoken
from tools.scoring import CorpusEntry


def talk(said: str, heard: str, *errors: str) -> Talk:
    return Talk(tuple(said.split()), Spoken(texts=[heard], errors=list(errors)))


@pytest.mark.parametrize(
    ("case", "kept", "lost", "too_many"),
    [
        (talk("a b c", "a b c"), True, 0, 0),
        (talk("a b c", "a c"), False, 1, 0),
        (talk("a b c", "a c", "transcription_failed"), True, 1, 0),
        (talk("a b c", "a b b c"), False, 0, 1),
        (talk("a b c", "a b b c", "transcription_failed"), False, 0, 1),
        (talk("a b c", "a c b"), False, 0, 0),
    ],
)
def test_words_lost_without_a_word_about_it_or_doubled_are_no_success(
    case: Talk, kept: bool, lost: int, too_many: int
) -> None:
    figures = talk_figures([case, talk("d", "d")])
    assert is_kept(figures) is kept
    assert (figures["words_lost"], figures["words_too_many"]) == (lost, too_many)


@pytest.mark.parametrize(
    ("figures", "kept"),
    [
        ({"conversations": 0}, False),
        ({"conversations": 5, "words_lost": 50, "errors": {"transcription_failed": 1}}, False),
        ({"conversations": 5, "words_lost": 15, "errors": {"transcription_failed": 1}}, True),
        ({"recordings": 5, "wer_unbroken": 0.10, "wer_broken": 0.11}, True),
        ({"recordings": 5, "wer_unbroken": 0.10, "wer_broken": 0.20}, False),
        ({"recordings": 5, "wer_unbroken": 0.10, "wer_meanwhile": 0.20}, False),
        ({"recordings": 5, "without_an_end": 1}, False),
        ({"conversations": 5, "refused": 0}, False),
        ({"conversations": 5, "memory_growth_percent": 9.0, "last": {"at_s": 3600.0}}, False),
        ({"conversations": 5, "memory_growth_percent": 9.0, "last": {"at_s": 60.0}}, True),
        ({"conversations": 5, "memory_growth_percent": 3.0, "last": {"at_s": 3600.0}}, True),
    ],
)
def test_figures_out_of_bounds_are_no_success(figures: dict[str, Any], kept: bool) -> None:
    assert is_kept(figures) is kept


async def reset(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_reset_by_the_server_reaches_the_client() -> None:
    async with trio.open_nursery() as nursery:
        stream, _ = await across(nursery, None, reset)
        async with stream:
            await stream.send_all(b"12345678")
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        nursery.cancel_scope.cancel()


async def test_a_connection_that_ends_before_its_cut_just_ends() -> None:
    async with trio.open_nursery() as nursery:
        stream, network = await across(nursery, Cut(60.0, "half_open"))
        async with stream:
            await stream.send_all(b"12345678")
            await stream.send_eof()
            with trio.fail_after(5):
                assert await received(stream, 9) == b"12345678"
        assert not network.breaks
        nursery.cancel_scope.cancel()


def test_broken_promises_are_named() -> None:
    spoken = Spoken(failure="gone")
    spoken.onsets.update([1, 2, 2, 3])
    spoken.answered.add(1)
    spoken.rejected.update([1, 3])
    assert spoken.violations() == [
        "failed: gone",
        "an onset was reported twice",
        "onset 1 has 2 answers",
        "onset 2 has 0 answers",
    ]


def test_a_conversation_is_the_same_for_the_same_seed() -> None:
    one, other = (make_conversation(np.random.default_rng(3), 5.0) for _ in range(2))
    assert one == other
    assert np.array_equal(one.samples, other.samples)
    assert len(one.samples) >= 5 * 16_000
    assert len(one.words) >= 3


def test_cuts_fall_anywhere_and_some_connections_hold() -> None:
    plan = random_plan(np.random.default_rng(1), share=0.5)
    plans = [plan() for _ in range(200)]
    cuts = [cut for cut in plans if cut is not None]
    assert 60 < len(cuts) < 140
    assert {cut.how for cut in cuts} == {"reset", "close", "half_open"}
    assert min(cut.after_s for cut in cuts) < LONGEST_S / 10
    assert max(cut.after_s for cut in cuts) > LONGEST_S * 0.9


async def echo(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


async def across(
    nursery: trio.Nursery,
    cut: Cut | None,
    server: Callable[[trio.SocketStream], Awaitable[None]] = echo,
) -> tuple[trio.SocketStream, Network]:
    """A stream to a server, over a network with this plan."""
    listeners: Any = await nursery.start(partial(trio.serve_tcp, server, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    network = Network(lambda: ("127.0.0.1", port), lambda: cut)
    return await trio.open_tcp_stream("127.0.0.1", await nursery.start(network.serve)), network


async def received(stream: trio.SocketStream, n_bytes: int) -> bytes:
    found = b""
    while len(found) < n_bytes:
        data = await stream.receive_some()
        if not data:
            break
        found += data
    return found


async def test_a_network_without_a_cut_carries_everything_both_ways() -> None:
    async with trio.open_nursery() as nursery:
        stream, network = await across(nursery, None)
        async with stream:
            await stream.send_all(b"x" * 100_000)
            assert await received(stream, 100_000) == b"x" * 100_000
            await stream.send_eof()
            assert await stream.receive_some() == b""
        assert not network.breaks
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_cut_connection_ends_after_what_it_carried(how: How) -> None:
    async with trio.open_nursery() as nursery:
        stream, network = await across(nursery, Cut(0.0, how))
        async with stream:
            await stream.send_all(b"12345678")
            with trio.fail_after(5):
                # What was unread when it was closed makes a reset of a close.
                with suppress(trio.BrokenResourceError):
                    assert await received(stream, 8) in {b"", b"1234"}
        assert dict(network.breaks) == {how: 1}
        nursery.cancel_scope.cancel()


async def test_a_half_open_connection_swallows_what_is_sent_and_says_nothing() -> None:
    async with trio.open_nursery() as nursery:
        stream, network = await across(nursery, Cut(0.0, "half_open"))
        async with stream:
            await stream.send_all(b"12345678")
            while not network.breaks:  # noqa: ASYNC110 - real sockets
                await trio.sleep(0.001)
            await stream.send_all(b"more")
            with trio.move_on_after(0.05) as waiting:
                while await stream.receive_some():
                    pass
            assert waiting.cancelled_caught
        nursery.cancel_scope.cancel()


def conversation_source(name: str, seed: int, *, seconds: float = 8.0) -> Source:
    """A conversation of tones as a recording of a corpus."""
    conversation = make_conversation(np.random.default_rng(seed), seconds)
    entry = CorpusEntry(
        name,
        Path(f"{name}.wav"),
        len(conversation.samples) / RATE_HZ,
        "speech",
        "en",
        " ".join(conversation.words),
        {},
    )
    return Source(entry, conversation.samples)


def test_a_seam_costs_no_word_of_a_model_that_hears_every_one() -> None:
    sources = [conversation_source(f"talk-{seed}", seed) for seed in range(3)]
    figures = seam_figures(sources, setup(vad="webrtc"), FakeEngine(hear_tones), seed=3)
    assert figures["recordings"] == 3
    assert figures["wer_unbroken"] == figures["wer_broken"] == 0
    assert is_kept(figures)


def test_words_that_a_seam_costs_are_told() -> None:
    talk = conversation_source("talk", 1)
    how = setup(vad="webrtc")
    keen = FakeEngine(hear_tones)
    seam_figures([talk], how, keen, seed=3)
    n_requests = sum(map(len, keen.batches))
    asked = count(1)

    def deaf_at_last(request: DecodeRequest) -> Sequence[DecodedWord]:
        # The last request is one of the connection that was resumed.
        return () if next(asked) == n_requests else hear_tones(request)

    figures = seam_figures([talk], how, FakeEngine(deaf_at_last), seed=3)
    assert figures["wer_unbroken"] == 0
    assert figures["wer_broken"] > 0
    assert list(figures["worse_when_broken"]) == ["talk"]
    assert not is_kept(figures)


def a_look(at_s: float, mib: float) -> Look:
    return Look(at_s, Footprint(mib, descriptors=20, threads=9), tasks=130, ping_ms={})


@pytest.mark.parametrize(("per_hour", "told_percent"), [(0.0, 0.0), (60.0, 50.0)])
def test_memory_that_comes_and_goes_is_no_growth(per_hour: float, told_percent: float) -> None:
    looks = [
        a_look(at_s, 100 + per_hour * at_s / 3600 + (10 if at_s % 60 else 0))
        for at_s in range(30, 3601, 30)
    ]
    found = drift(looks, 3600)
    assert found["warm"]["at_s"] == 300
    assert found["memory_growth_percent"] == pytest.approx(told_percent, abs=6)
    assert is_kept({"conversations": 1, **found}) is (per_hour == 0)
