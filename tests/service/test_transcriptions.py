"""How many recordings at once, whose, and how long a drain waits for them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import trio
import trio.testing

from fasttalk_stt.access.principal import Principal, Visitor
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.service.transcriptions import Transcriptions, UploadLimits, check_allowance
from fasttalk_stt.settings import Settings


def make(**values):
    def connect(transport):
        raise AssertionError("nothing is transcribed here")

    given = {"max_at_once": 2} | values
    limits = UploadLimits(max_bytes=1, timeout_s=1.0, longest_s=1.0)
    return Transcriptions(
        connect=connect, languages=lambda: frozenset({"en"}), limits=limits, **given
    )


def refusal(desk, *visitor):
    with pytest.raises(ProtocolError) as caught, desk.admit(*visitor):
        pass
    return caught.value


async def test_as_many_as_may_be():
    desk = make()
    with desk.admit(), desk.admit():
        assert desk.active == 2
        error = refusal(desk)
        assert (error.kind.code, error.retry_after_s) == ("server_full", 5.0)
    with desk.admit():
        assert desk.active == 1
    assert desk.active == 0


async def test_conversations_come_first():
    has_compute = True
    desk = make(has_compute=lambda: has_compute)
    with desk.admit():
        has_compute = False
        assert refusal(desk).kind.code == "server_full"


async def test_a_key_has_a_share():
    desk = make(max_at_once=9)
    one, other = (Visitor(Principal("key", name), max_connections=2) for name in ("one", "other"))
    with desk.admit(one), desk.admit(one):
        assert refusal(desk, one).kind.code == "rate_limited"
        with desk.admit(other):
            assert desk.active == 3


async def test_a_drain_waits_for_the_last():
    desk = make()
    with ExitStack() as stack:
        stack.enter_context(desk.admit())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.drain)
            await trio.testing.wait_all_tasks_blocked()
            assert refusal(desk).kind.code == "server_draining"
            stack.close()
    await desk.drain()


async def test_their_time_may_be_over():
    desk = make()
    with desk.admit() as scope, scope:
        desk.stop()
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_audio_beyond_the_allowance_is_paid_first(autojump_clock: trio.testing.MockClock):
    check_allowance(None)
    bucket = Bucket(rate_per_s=0.5, burst=10.0)
    check_allowance(bucket)
    bucket.spend(15.0, trio.current_time())
    with pytest.raises(ProtocolError) as caught:
        check_allowance(bucket)
    assert (caught.value.kind.code, caught.value.retry_after_s) == ("rate_limited", 10.0)
    await trio.sleep(10.0)
    check_allowance(bucket)


def test_settings_turn_them_off():
    made = [
        Transcriptions.of(
            Settings(max_transcriptions=number),
            connect=lambda transport: None,
            languages=frozenset,
            has_compute=bool,
        )
        for number in (0, 1)
    ]
    assert made[0] is None
    assert made[1] is not None
    assert made[1].limits.max_bytes == 26_214_400
