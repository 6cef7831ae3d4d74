"""Several observers, some of which fail: the others are told, and nothing reaches who reports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from fasttalk_stt.protocol.server_messages import AudioAccount, Pong
from fasttalk_stt.telemetry.fanout import Fanout
from fasttalk_stt.telemetry.telemetry import (
    ConnectionTelemetry,
    RequestReport,
    SessionFigures,
    SessionInfo,
    Telemetry,
)

FIGURES = SessionFigures(1.0, 0.1, AudioAccount(1000, 600, 300, 60, 40))
INFO = SessionInfo("s", None, None, "new")
REPORT = RequestReport("final", "decoded", 1.0)

OF_CONNECTION: dict[str, Callable[[ConnectionTelemetry], None]] = {
    "frame_received": lambda told: told.frame_received(2048, 0.032),
    "frame_heard": lambda told: told.frame_heard(0.001),
    "voice_judged": lambda told: told.voice_judged(0.001),
    "text_received": lambda told: told.text_received(20),
    "text_dropped": lambda told: told.text_dropped(),
    "held_back": lambda told: told.held_back(0.5),
    "session_started": lambda told: told.session_started(INFO, lambda: FIGURES),
    "session_ended": lambda told: told.session_ended("s", "end_session", FIGURES),
    "message_sent": lambda told: told.message_sent(Pong(1), 10, 0.001, since_speech_s=None),
    "closed": lambda told: told.closed(None),
}
OF_SERVER: dict[str, Callable[[Telemetry], None]] = {
    "refused": lambda told: told.refused("server_full", None),
    "request_done": lambda told: told.request_done(REPORT),
    "batch_done": lambda told: told.batch_done(2, 0.1),
    "retried": lambda told: told.retried(),
    "breaker_moved": lambda told: told.breaker_moved("gpu", "open"),
    "loop_lagged": lambda told: told.loop_lagged(0.001),
}


def _methods(of: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(of, inspect.isfunction) if name[0] != "_"}


def _listening(base: type, note: Callable[[str], None]) -> Any:
    """An object of a class that overrides everything of `base`, as observers do."""

    def method(name: str) -> Callable[..., None]:
        return lambda self, *args, **details: note(name)

    return type("Listening", (base,), {name: method(name) for name in _methods(base)})()


class Witness(Telemetry):
    """Remembers by name what it was told, of the server and of its connections."""

    def __init__(self, told: list[str], *, is_broken: bool = False) -> None:
        def note(name: str) -> None:
            if is_broken:
                raise ValueError(name)
            told.append(name)

        self.of_connection = _listening(ConnectionTelemetry, note)
        of_server = _listening(Telemetry, note)
        for name in OF_SERVER:
            setattr(self, name, getattr(of_server, name))

    def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
        return self.of_connection  # type: ignore[no-any-return]


def test_the_lists_here_are_complete() -> None:
    assert OF_CONNECTION.keys() == _methods(ConnectionTelemetry)
    assert OF_SERVER.keys() | {"connection"} == _methods(Telemetry)


@pytest.mark.parametrize("name", OF_CONNECTION)
def test_what_a_connection_reports_reaches_everybody_but_whoever_fails(name: str) -> None:
    told: list[str] = []
    fanout = Fanout([Witness(told), Witness(told, is_broken=True), Witness(told)])
    OF_CONNECTION[name](fanout.connection("key", "key:backend"))
    assert told == [name, name]
    assert fanout.faults == 1


@pytest.mark.parametrize("name", OF_SERVER)
def test_what_the_server_reports_reaches_everybody_but_whoever_fails(name: str) -> None:
    told: list[str] = []
    fanout = Fanout([Witness(told), Witness(told, is_broken=True), Witness(told)])
    OF_SERVER[name](fanout)
    assert told == [name, name]
    assert fanout.faults == 1


def test_an_observer_that_takes_no_connection_is_left_out() -> None:
    class Refusing(Telemetry):
        def connection(self, kind: str, principal: str) -> ConnectionTelemetry:
            raise RuntimeError("no")

    told: list[str] = []
    fanout = Fanout([Refusing(), Witness(told)])
    fanout.connection("anonymous", "anonymous:local").text_dropped()
    assert (told, fanout.faults) == (["text_dropped"], 1)


def test_by_default_nobody_listens() -> None:
    nobody = Telemetry()
    for report in OF_SERVER.values():
        report(nobody)
    for report_of_connection in OF_CONNECTION.values():
        report_of_connection(nobody.connection("key", "key:backend"))


def test_a_lost_session_discards_what_has_no_outcome() -> None:
    lost = FIGURES.when_lost().account
    assert lost == AudioAccount(1000, 600, 300, 100, 0)
