"""Hypothesis cuts connections at random; the consumer must see what it sees of an unbroken run."""

from __future__ import annotations

import json
from collections import deque
from random import Random
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.client.events import (
    EagerRetracted,
    EagerTranscription,
    Event,
    SessionEnded,
    SpeechEnded,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.client.exchange import Exchange
from fasttalk_stt.client.options import SessionOptions
from fasttalk_stt.protocol.client_messages import (
    Configure,
    ContextUpdate,
    EndSession,
    FlushBuffer,
    Interrupt,
)
from tests.client.model_server import NOISE, RATE_HZ, ModelServer, blocks

OPTIONS = SessionOptions(
    encoding="s16le", sample_rate=RATE_HZ, fasttalk_mode=True, session_id="s-1"
)

_WORDS = [0, 0, 0, 1, 2, 3, 4, 5, NOISE]
_LENGTHS = [1, 5, 9, 12, 20, 31, 45, 70]
_COMMANDS = ["responding", "processing", "listening", "flush", "configure"]


def script(seed: int, commands: list[str] = _COMMANDS) -> list[tuple[str, Any]]:
    """A conversation over a bad line. Hypothesis chooses the seed alone: lists that it grows itself
    hardly ever hold enough speech for something to be under way at a cut."""
    random = Random(seed)
    is_busy = random.random() < 0.5
    steps: list[tuple[str, Any]] = []
    for _ in range(random.randrange(5, 40)):
        said = [
            (random.choice(_WORDS), random.choice(_LENGTHS)) for _ in range(random.randrange(6))
        ]
        steps.append(("audio", said))
        if random.random() < 0.3:
            steps.append(("command", random.choice(commands)))
        up = random.choice([1, 3, 1000, 1000])
        results, down = random.randrange(4), random.choice([0, 1, 2, 1000, 1000])
        steps += [("up", up), ("release", results if is_busy else 1000), ("down", down)]
        if random.random() < 0.2:
            steps.append(("cut", None))
    return steps


STEPS = st.builds(script, st.integers(0, 2**32))
INTERRUPTED = st.builds(script, st.integers(0, 2**32), st.just([*_COMMANDS, "interrupt"]))
"""With barge-in: which results it still finds, and discards, is a matter of time, so the texts are."""


@define
class Line:
    """A client and a server with messages on their way between them."""

    exchange: Exchange = field(factory=lambda: Exchange(OPTIONS))
    server: ModelServer = field(factory=ModelServer)
    events: list[Event] = field(factory=list)
    answers: list[Any] = field(factory=list)
    commands: list[Any] = field(factory=list)
    up: deque[str | bytes] = field(factory=deque)
    down: deque[str] = field(factory=deque)
    seqs: list[int] = field(factory=list)
    cuts: int = 0

    def begin(self) -> None:
        self.server = ModelServer()
        self.up = deque([self.exchange.opening()])
        self.down = deque()

    def cut(self) -> None:
        self.cuts += 1
        self.events += self.exchange.cut()
        self.begin()

    def send(self, count: int) -> None:
        for _ in range(count):
            sending = self.exchange.next_message()
            if sending is not None:
                self.up.append(sending.payload)
            if not self.up:
                return
            self.server.say(self.up.popleft())
            self.down += self.server.sent
            self.server.sent.clear()

    def read(self, count: int) -> None:
        for _ in range(min(count, len(self.down))):
            message = self.down.popleft()
            self.seqs.append(json.loads(message)["metadata"]["seq"])
            received = self.exchange.receive(message)
            assert received.fault is None
            self.events += received.events
            self.answers += received.answers

    def release(self, count: int) -> None:
        self.server.release(count)
        self.down += self.server.sent
        self.server.sent.clear()

    def command(self, name: str) -> None:
        message: Any
        if name == "flush":
            message = FlushBuffer()
        elif name == "interrupt":
            message = Interrupt()
        elif name == "configure":
            message = Configure({"buffer_duration": 1.0 + len(self.commands) % 7})
        else:
            message = ContextUpdate(conversation_state=name)
        self.commands.append(self.exchange.add_command(message))

    def finish(self) -> None:
        self.commands.append(self.exchange.add_command(EndSession()))
        for _ in range(10_000):
            self.send(50)
            self.release(50)
            self.read(1_000)
            if self.events and isinstance(self.events[-1], SessionEnded):
                return
        raise AssertionError("the session did not end")


def play(steps: list[tuple[str, Any]], *, with_cuts: bool) -> Line:
    line = Line()
    line.begin()
    for kind, detail in steps:
        match kind:
            case "audio":
                for word, length in detail:
                    line.exchange.add_audio(blocks(*[word] * length))
            case "command":
                line.command(detail)
            case "up":
                line.send(detail)
            case "down":
                line.read(detail)
            case "release":
                line.release(detail)
            case "cut" if with_cuts:
                line.cut()
    line.finish()
    return line


def texts(line: Line) -> list[tuple[int, str, str, int]]:
    return [
        (
            event.data.utterance,
            event.data.text,
            event.data.metadata.reason,
            event.data.metadata.audio_start_ms,
        )
        for event in line.events
        if isinstance(event, Transcription) and event.data.text
    ]


def numbers(line: Line, kind: type[Any]) -> list[int]:
    return [event.data.utterance for event in line.events if isinstance(event, kind)]


@given(STEPS)
def test_cuts_change_nothing_that_matters(steps: list[tuple[str, Any]]) -> None:
    unbroken, broken = play(steps, with_cuts=False), play(steps, with_cuts=True)
    assert texts(broken) == texts(unbroken)
    for kind in (VoiceActivityDetected, VoiceActivityRejected, SpeechEnded):
        assert numbers(broken, kind) == numbers(unbroken, kind), kind


@given(STEPS | INTERRUPTED)
def test_every_command_is_answered_exactly_once(steps: list[tuple[str, Any]]) -> None:
    line = play(steps, with_cuts=True)
    answered = [command for command, _ in line.answers]
    assert len(answered) == len(line.commands)
    assert set(answered) == set(line.commands)
    assert all(command.answered for command in line.commands[:-1])


@given(STEPS | INTERRUPTED)
def test_every_server_goes_on_with_the_number_after_the_last_that_was_read(
    steps: list[tuple[str, Any]],
) -> None:
    line = play(steps, with_cuts=True)
    assert line.seqs == list(range(1, len(line.seqs) + 1))


@given(STEPS)
def test_an_eager_text_is_confirmed_word_for_word_or_taken_back(
    steps: list[tuple[str, Any]],
) -> None:
    line = play(steps, with_cuts=True)
    waiting: dict[int, str] = {}
    for event in line.events:
        match event:
            case EagerTranscription(data=data):
                assert data.utterance not in waiting
                waiting[data.utterance] = data.text
            case EagerRetracted(data=data):
                assert waiting.pop(data.utterance, None) is not None
            case Transcription(data=data) if data.utterance in waiting:
                assert data.text == waiting.pop(data.utterance)
            case _:
                pass
    assert not waiting


@given(STEPS | INTERRUPTED)
def test_what_is_kept_is_what_is_unsettled_and_two_seconds(steps: list[tuple[str, Any]]) -> None:
    line = play(steps, with_cuts=True)
    assert line.exchange.unsettled_s == 0
    assert line.exchange._buffer.held_bytes <= 2 * RATE_HZ * 2


def test_the_model_server_hears_what_is_said() -> None:
    """The yardstick itself, once by hand."""
    line = play([("audio", [(1, 20), (2, 90), (3, 20), (0, 40), (NOISE, 20)])], with_cuts=False)
    assert texts(line) == [
        (1, "w1l", "buffer_full", 0),
        (1, "w2l", "buffer_full", 200),
        (1, "w3l", "speech_end", 1100),
    ]
    assert numbers(line, VoiceActivityDetected) == [1, 2]
    assert numbers(line, VoiceActivityRejected) == [2]
