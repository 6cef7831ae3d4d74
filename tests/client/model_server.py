"""A tiny server that follows the protocol, for tests of the client: pure, exact, and resumable.

Its audio is s16le at 8 kHz in blocks of 10 ms, each filled with one number: 0 is silence, any other
is the word of that name. An utterance is what lies between 300 ms of silence; words are committed
after a second; an utterance of nothing but NOISE is rejected. A word's text ends with the context
that was in force at its last block, so a context that is lost or late shows in the text.

What is decided waits in `results` until `release` sends it, as results of a busy engine do, while
onsets and acknowledgements leave at once. Stamps are made in sending order.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import define, field

RATE_HZ = 8_000
BLOCK = 80
BLOCK_MS = 10
NOISE = 99

_ONSET_BLOCKS = 10
_PAUSE_BLOCKS = 12
_END_BLOCKS = 30
_COMMIT_BLOCKS = 100
_PRE_ROLL_BLOCKS = 20


def blocks(*words: int) -> bytes:
    """Audio of these blocks."""
    return np.repeat(np.array(words, dtype="<i2"), BLOCK).tobytes()


@define
class _Result:
    """Messages that settle the audio up to `end` (in blocks) as the last of them is sent."""

    messages: list[dict[str, Any]]
    end: int
    settles_with: int = 0


@define
class _Open:
    number: int
    start: int
    segment_start: int
    blocks: list[tuple[int, str]] = field(factory=list)
    voiced: int = 0
    silent: int = 0
    has_text: bool = False
    heard: bool = False
    eager: str | None = None


class ModelServer:
    """One connection's session; `say` takes the client's messages, `take` yields ours."""

    def __init__(self) -> None:
        self.sent: deque[str] = deque()
        self.results: deque[_Result] = deque()
        self.received_audio = 0
        self.is_ended = False
        self.session_id: str | None = None
        self.resume: Mapping[str, Any] | None = None
        self.config: dict[str, Any] = {}
        self.contexts: list[str] = []
        self._seq = 0
        self._at = 0
        self._committed = 0
        self._context = "listening"
        self._utterance: _Open | None = None
        self._next_number = 1
        self._reported_up_to = 0
        self._continues = False
        self._had_text = False
        self._silent_before = 0
        self._ending = False

    # ---- what the client says ----------------------------------------------------------------------

    def say(self, message: str | bytes) -> None:
        """Take one message."""
        if isinstance(message, bytes):
            assert self.session_id is not None, "audio before the session"
            assert len(message) <= 2 * RATE_HZ, "a frame of more than a second"
            samples = np.frombuffer(message, "<i2")
            self.received_audio += len(samples)
            for value in samples[::BLOCK]:
                self._hear(int(value))
            return
        document = json.loads(message)
        getattr(self, "_on_" + document["type"])(document)

    def release(self, count: int = 1) -> None:
        """Send what `count` of the waiting results say."""
        for _ in range(min(count, len(self.results))):
            result = self.results.popleft()
            if not result.messages:
                self._committed = max(self._committed, result.end)
            for index, message in enumerate(result.messages):
                if index == result.settles_with:
                    self._committed = max(self._committed, result.end)
                self._send(message)
        if self._ending and not self.results and not self.is_ended:
            self.is_ended = True
            self._committed = self._at
            zero = dict.fromkeys(
                ["received_ms", "transcribed_ms", "silence_ms", "discarded_ms", "unsettled_ms"], 0
            )
            self._send(
                {
                    "type": "session_ended",
                    "reason": "end_session",
                    "audio": zero | {"received_ms": self._at * BLOCK_MS},
                    "segments": 0,
                    "real_time_factor": 0.0,
                }
            )

    def _on_start_session(self, document: dict[str, Any]) -> None:
        self.config = document["session_config"]
        self.resume = resume = self.config.get("resume")
        self.session_id = self.config.get("session_id") or "model"
        if resume is not None:
            assert resume["session_id"] == self.session_id
            assert 0 <= resume["audio_from_ms"] <= resume["committed_ms"]
            self._seq = resume["seq"]
            self._at = resume["audio_from_ms"] // BLOCK_MS
            self._committed = resume["committed_ms"] // BLOCK_MS
            reported = resume["onset_reported"]
            under_way = reported is not False
            self._reported_up_to = resume["utterance"] if reported is True else int(reported)
            self._next_number = resume["utterance"] + (0 if under_way else 1)
            # Open at `committed_ms` is what has text already, or began before (noise, flushed away).
            onset_ms = resume["onset_ms"]
            began = onset_ms is not None and onset_ms < resume["committed_ms"]
            self._had_text = resume["text"] != ""
            self._continues = under_way and (self._had_text or (reported is True and began))
        self._send({"type": "session_started", "config": self.config, "model": "model"})

    def _on_context_update(self, document: dict[str, Any]) -> None:
        assert self._at >= self._committed or self._at == self._first_block, "inside the lead-in"
        self._context = document["data"]["conversation_state"]
        self.contexts.append(self._context)
        data = {
            "conversation_state": self._context,
            "expected_response_type": "casual",
            "language_context": None,
        }
        self._send({"type": "context_updated", "data": data})

    @property
    def _first_block(self) -> int:
        return 0 if self.resume is None else self.resume["audio_from_ms"] // BLOCK_MS

    def _on_configure(self, document: dict[str, Any]) -> None:
        self.config = {**self.config, **document["config"]}
        self._send({"type": "configured", "config": self.config})

    def _on_ping(self, document: dict[str, Any]) -> None:
        self._send({"type": "pong", "id": document["id"]})

    def _on_interrupt(self, document: dict[str, Any]) -> None:
        cancelled = len(self.results)
        for result in self.results:
            self._committed = max(self._committed, result.end)
            for message in result.messages:
                # A flush is answered, also where its audio is discarded.
                if message.get("data", {}).get("metadata", {}).get("reason") == "flush":
                    self._send({**message, "data": {**message["data"], "text": ""}})
        self.results.clear()
        data = {
            "interrupted_at": "",
            "buffer_cleared": True,
            "processing_stopped": True,
            "cancelled_segments": cancelled,
            "kept_audio_ms": 0,
        }
        self._send({"type": "interrupt_acknowledged", "data": data})

    def _on_flush_buffer(self, document: dict[str, Any]) -> None:
        self._go_on()
        utterance = self._utterance
        if utterance is None:
            number = self._next_number - 1
            self._result([self._text(number, "", "flush", self._at)], self._at)
            return
        text = self._words(utterance.blocks)
        start = utterance.segment_start
        if not text:
            # Nothing that is settled: `resume` could not say that noise is under way before it.
            self._result([self._text(utterance.number, "", "flush", start)], start)
            return
        self._retract(utterance)
        self._result([self._text(utterance.number, text, "flush", start)], self._at)
        utterance.has_text = True
        if not utterance.heard:
            # A text without an onset before it would leave a gap in the numbers a client knows.
            utterance.heard = True
            if utterance.number > self._reported_up_to:
                self._report_onset(utterance)
        utterance.segment_start, utterance.blocks = self._at, []

    def _on_end_session(self, document: dict[str, Any]) -> None:
        self._go_on()
        if self._utterance is not None:
            self._end_utterance("session_end")
        self._ending = True

    # ---- hearing -----------------------------------------------------------------------------------

    def _hear(self, word: int) -> None:
        position = self._at
        self._at += 1
        if position < self._committed and self._utterance is None:
            # The lead-in: it says how long it has been silent where an utterance goes on.
            self._silent_before = 0 if word else self._silent_before + 1
            return
        self._go_on()
        if self._utterance is None:
            if word == 0:
                settled = self._at - _PRE_ROLL_BLOCKS
                if settled > self._committed and not self.results:
                    self._committed = settled
                elif settled > self._committed:
                    self._result([], settled)
                return
            self._utterance = _Open(self._next_number, position, position)
            self._next_number += 1
        self._hear_utterance(self._utterance, word)

    def _go_on(self) -> None:
        """Reopen the utterance that was under way where this connection began."""
        if not self._continues:
            return
        self._continues = False
        self._utterance = _Open(
            self._next_number, self._at, self._at, has_text=self._had_text, heard=True, voiced=99
        )
        self._utterance.start = self._utterance.segment_start = self._committed
        self._utterance.silent = self._silent_before
        self._next_number += 1

    def _hear_utterance(self, utterance: _Open, word: int) -> None:
        utterance.blocks.append((word, self._context))
        utterance.silent = 0 if word else utterance.silent + 1
        utterance.voiced += word != 0
        if word and utterance.voiced == _ONSET_BLOCKS and not utterance.heard:
            utterance.heard = True
            if utterance.number > self._reported_up_to:
                self._report_onset(utterance)
        if word:
            self._retract(utterance)
        if utterance.silent == _PAUSE_BLOCKS and utterance.heard:
            text = self._words(utterance.blocks)
            if text and not self.results:
                utterance.eager = text
                start = utterance.segment_start
                message = self._text(utterance.number, text, "speech_end", start)
                self._send({**message, "type": "eager_transcription"})
        if utterance.silent == _END_BLOCKS:
            self._end_utterance("speech_end")
        elif len(utterance.blocks) >= _COMMIT_BLOCKS:
            self._commit_words(utterance)

    def _report_onset(self, utterance: _Open) -> None:
        data = {
            "utterance": utterance.number,
            "confidence": 0.9,
            "duration_ms": 100,
            "energy_level": 0.5,
            "is_speech": True,
            "timestamp": "",
            "audio_start_ms": utterance.start * BLOCK_MS,
            "barge_in": False,
            "withheld_segments": 0,
        }
        self._send({"type": "voice_activity_detected", "data": data})

    def _commit_words(self, utterance: _Open) -> None:
        """Commit up to the last change of word, but for what is still being said."""
        if utterance.silent:
            return
        heard = [word for word, _ in utterance.blocks]
        edge = max((i for i in range(1, len(heard)) if heard[i] != heard[i - 1]), default=0)
        text = self._words(utterance.blocks[:edge])
        if not text or heard[edge] == 0:
            return
        start = utterance.segment_start
        self._result([self._text(utterance.number, text, "buffer_full", start)], start + edge)
        utterance.has_text = True
        utterance.segment_start, utterance.blocks = start + edge, utterance.blocks[edge:]

    def _end_utterance(self, reason: str) -> None:
        utterance, self._utterance = self._utterance, None
        assert utterance is not None
        text = self._words(utterance.blocks)
        speech_end = self._at - utterance.silent
        ended = {
            "type": "speech_ended",
            "data": {
                "utterance": utterance.number,
                "audio_start_ms": utterance.start * BLOCK_MS,
                "audio_end_ms": speech_end * BLOCK_MS,
            },
        }
        if not utterance.heard:
            self._next_number -= 1
            self._result([], self._at)
        elif text:
            said = self._text(utterance.number, text, reason, utterance.segment_start)
            self._result([ended, said], self._at, settles_with=1)
        elif utterance.has_text:
            self._result([ended], self._at)
        else:
            self._retract(utterance)
            data = {
                "utterance": utterance.number,
                "audio_start_ms": utterance.start * BLOCK_MS,
                "reason": "noise",
            }
            self._result([{"type": "voice_activity_rejected", "data": data}], self._at)

    def _retract(self, utterance: _Open) -> None:
        if utterance.eager is not None:
            utterance.eager = None
            data = {
                "utterance": utterance.number,
                "audio_start_ms": utterance.segment_start * BLOCK_MS,
                "reason": "resumed",
            }
            self._send({"type": "eager_retracted", "data": data})

    # ---- words and messages ------------------------------------------------------------------------

    def _words(self, heard: list[tuple[int, str]]) -> str:
        words = []
        for index, (word, context) in enumerate(heard):
            is_last = index + 1 == len(heard) or heard[index + 1][0] != word
            if word not in (0, NOISE) and is_last:
                words.append(f"w{word}{context[0]}")
        return " ".join(words)

    def _text(self, number: int, text: str, reason: str, start: int) -> dict[str, Any]:
        metadata = {
            "duration": 0.0,
            "chunks_count": 0,
            "reason": reason,
            "audio_start_ms": start * BLOCK_MS,
            "language": "en",
            "language_confidence": 1.0,
            "end_of_turn": reason in ("speech_end", "session_end"),
            "model": "model",
            "compute_ms": 0.0,
            "latency_ms": 0.0,
        }
        data = {
            "utterance": number,
            "text": text,
            "processing_time_ms": 0.0,
            "audio_duration_ms": (self._at - start) * BLOCK_MS,
            "metadata": metadata,
        }
        return {"type": "transcription", "data": data}

    def _result(self, messages: list[dict[str, Any]], end: int, *, settles_with: int = 0) -> None:
        self.results.append(_Result(messages, end, settles_with))

    def _send(self, message: dict[str, Any]) -> None:
        self._seq += 1
        metadata = {
            "session_id": self.session_id,
            "timestamp": "2024-01-15T12:00:00.000Z",
            "seq": self._seq,
            "audio_committed_ms": self._committed * BLOCK_MS,
        }
        if message["type"] == "session_started":
            message = {"ignored_fields": [], "session_id": self.session_id, **message}
        self.sent.append(json.dumps({**message, "metadata": metadata}))
