"""Engines for measuring: one that never hears a word, and the real one with a memory.

Both take a fixed time of the jumping clock for an answer, however long the computing took, so that a
run says the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import trio

from fasttalk_stt import inference
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest, Hypothesis
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend

NOT_DECODING = (
    "quality",
    "scheduler",
    "policy",
    "silero",
    "smart_turn",
    "turn_judge",
    "fake",
    "errors",
)
"""Modules of `inference` on which an engine's answer to a request does not depend."""


def deaf_engine() -> FakeEngine:
    """An engine that finds no words in anything, at once."""
    return FakeEngine(lambda request: ())


class DecodeMemory:
    """Answers by the content of their requests, in memory and, with a directory, in a file.

    What another version of the decoder answered is not used. Several processes may use one directory
    at the same time; each sees what was there at its start.
    """

    def __init__(self, directory: Path | None, model: str) -> None:
        name = f"decodes-{model}-{decoder_version()}.jsonl"
        self._path = None if directory is None else directory / name
        self._known: dict[str, Hypothesis] = {}
        if self._path is not None and self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                fields = json.loads(line)
                key = fields.pop("key")
                self._known[key] = _hypothesis(fields)

    def get(self, key: str) -> Hypothesis | None:
        return self._known.get(key)

    def put(self, key: str, hypothesis: Hypothesis) -> None:
        self._known[key] = hypothesis
        if self._path is None:
            return
        line = json.dumps({"key": key, **attrs.asdict(hypothesis)}, ensure_ascii=False) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # One write to the end of the file, so that lines of two processes do not mix.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


@cache
def decoder_version() -> str:
    """The same as long as the sources are that an answer may depend on."""
    digest = hashlib.sha256()
    for path in sorted(Path(inference.__file__).parent.glob("*.py")):
        if path.stem not in NOT_DECODING:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def request_key(request: DecodeRequest) -> str:
    """The same for requests that ask the same."""
    digest = hashlib.sha256(request.samples.tobytes())
    asked = [request.language, request.vocabulary, request.prefix_text, request.prefix_s]
    digest.update(json.dumps(asked).encode())
    return digest.hexdigest()[:32]


class RememberingEngine:
    """Implements `inference.engine.Engine` in audio time: every batch takes `latency_s`.

    The model is loaded when the first request comes that is not remembered. Requests are decoded
    one by one, so an answer does not depend on what else was asked. English only.
    """

    supported_languages = frozenset({"en"})
    seats = 1
    batch_size = 1
    request_s = 0.0

    def __init__(
        self, model: str, memory: DecodeMemory, *, latency_s: float, threads: int = 1
    ) -> None:
        self.model_name = model
        self._memory = memory
        self._latency_s = latency_s
        self._threads = threads
        self._backend: WhisperXBackend | None = None
        self.decoded = 0

    async def load(self) -> None:
        """Nothing to do yet."""

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        await trio.sleep(self._latency_s)
        return [self.decode_now(request) for request in requests]

    def decode_now(self, request: DecodeRequest) -> Hypothesis:
        """The answer to one request, without its time."""
        key = request_key(request)
        known = self._memory.get(key)
        if known is None:
            known = self._decode(request)
            self.decoded += 1
            self._memory.put(key, known)
        return known

    def _decode(self, request: DecodeRequest) -> Hypothesis:
        if self._backend is None:
            self._backend = WhisperXBackend(
                resolve_model(self.model_name), cpu_threads=self._threads
            )
            self._backend.load()
        return self._backend.decode([request])[0]


def _hypothesis(fields: dict[str, Any]) -> Hypothesis:
    words = tuple(DecodedWord(**word) for word in fields.pop("words"))
    return Hypothesis(words=words, **fields)
