"""How the backend asks a model again, with a scripted model in the real one's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from attrs import define, field

from fasttalk_stt.inference import whisperx_backend
from fasttalk_stt.inference.aligning.realign import WordAligner
from fasttalk_stt.inference.aligning.spans import LogProbs, WordSpan
from fasttalk_stt.inference.answers import Language
from fasttalk_stt.inference.decoding import (
    FRAMES_PER_S,
    FULL_CONTEXT_FRAMES,
    DecodingOptions,
    Draft,
    Prompt,
)
from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodedWord, DecodeRequest
from fasttalk_stt.inference.errors import NobodyWaitsError
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend

LOOP = "a b c " * 8


@define
class ScriptedModel:
    """Says `script` in order, one text for each request and attempt; the last for ever.

    A text that begins with "?" is one the decoder did not believe in. Words are spread evenly over
    what is new in the audio.
    """

    script: list[str] = field(factory=lambda: ["hello"])
    contexts: list[int] = field(factory=list)
    stamped: list[bool] = field(factory=list)
    temperatures: list[float] = field(factory=list)
    seen: list[list[DecodeRequest]] = field(factory=list)
    detections: int = 0
    languages: frozenset[str] = frozenset({"en"})
    when_asked: Callable[[], None] = field(default=lambda: None)
    _requests: list[DecodeRequest] = field(factory=list)

    def told_language(self, request: DecodeRequest) -> Language | None:
        return None if request.language is None else Language(request.language, 1.0)

    def features(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._requests = []
        return np.zeros((80, len(samples) * FRAMES_PER_S // SAMPLE_RATE_HZ), dtype=np.float32)

    def encode(
        self, features: Sequence[npt.NDArray[np.float32]], n_context_frames: int
    ) -> list[int]:
        """Of an encoding no more is known than how long each request is."""
        self.contexts.append(n_context_frames)
        return [item.shape[1] for item in features]

    def part(self, encoded: list[int], row: int) -> list[int]:
        return [encoded[row]]

    def find_languages(self, told: Sequence[Language | None], encoded: list[int]) -> list[Language]:
        self.detections += sum(language is None for language in told)
        return [language or Language("de", 0.6) for language in told]

    def prompt(
        self, request: DecodeRequest, language: Language, *, with_timestamps: bool
    ) -> Prompt:
        self._requests.append(request)
        return Prompt(tokens=(), n_previous=0, prefix=())

    def draft(
        self,
        encoded: list[int],
        languages: Sequence[Language],
        prompts: Sequence[Prompt],
        limits: Sequence[int],
        options: DecodingOptions,
    ) -> list[Draft]:
        self.temperatures.append(options.temperature)
        self.stamped.append(options.with_timestamps)
        self._requests = self._requests[-len(prompts) :]
        lengths = [int(asked.duration_s * FRAMES_PER_S) for asked in self._requests]
        assert encoded == lengths, "the encoding is of other requests"
        self.seen.append(list(self._requests))
        self.when_asked()
        texts = [self.script.pop(0) if len(self.script) > 1 else self.script[0] for _ in prompts]
        return [
            Draft(
                tokens=(1,),
                text=text.strip("?"),
                average_log_probability=-1.2 if text.startswith("?") else -0.2,
                no_speech_probability=0.1,
                hit_limit=False,
            )
            for text in texts
        ]

    def align(
        self,
        encoded: list[int],
        languages: Sequence[Language],
        prompts: Sequence[Prompt],
        drafts: Sequence[Draft],
        n_frames: Sequence[int],
    ) -> list[tuple[DecodedWord, ...]]:
        return [
            _spread(draft.text, request)
            for draft, request in zip(drafts, self._requests, strict=True)
        ]


def _spread(text: str, request: DecodeRequest) -> tuple[DecodedWord, ...]:
    pieces = text.split()
    step_s = request.new_s / max(len(pieces), 1)
    first_s = request.prefix_s
    return tuple(
        DecodedWord(f" {piece}", first_s + i * step_s, first_s + (i + 1) * step_s, 0.9)
        for i, piece in enumerate(pieces)
    )


Load = Callable[..., tuple[WhisperXBackend, ScriptedModel]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """A backend that is loaded and warm, and the model behind it, which then says the script."""

    def make(
        script: list[str], aligner: WordAligner | None = None
    ) -> tuple[WhisperXBackend, ScriptedModel]:
        model = ScriptedModel()

        def build(*_arguments: Any, **_options: Any) -> ScriptedModel:
            return model

        monkeypatch.setattr(whisperx_backend, "WhisperModel", build)
        backend = WhisperXBackend(
            ResolvedModel("scripted", Path("none"), source="directory"),
            cpu_threads=1_024,
            aligner=aligner,
        )
        backend.load()
        model.script = list(script)
        model.contexts.clear()
        model.temperatures.clear()
        model.stamped.clear()
        model.detections = 0
        model.seen.clear()
        return backend, model

    return make


def request(seconds: float = 2.0, **options: Any) -> DecodeRequest:
    samples = np.zeros(int(seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    return DecodeRequest(samples=samples, **({"language": "en"} | options))


def test_an_answer_without_doubt_costs_one_attempt(load: Load) -> None:
    backend, model = load(["hello there"])
    [hypothesis] = backend.decode([request()])
    assert hypothesis.text == "hello there"
    assert model.contexts == [900]


def test_a_doubtful_answer_is_asked_once_more_alone(load: Load) -> None:
    backend, model = load(["fine", "?mumble", "mumbling"])
    clear, mumbled = backend.decode([request(), request(3.0)])
    assert (clear.text, mumbled.text) == ("fine", "mumbling")
    assert model.contexts == [900]
    assert model.stamped == [False, True]
    assert [len(asked) for asked in model.seen] == [2, 1]
    assert mumbled.compute_ms > clear.compute_ms


def test_what_stays_doubtful_is_not_asked_a_third_time(load: Load) -> None:
    backend, model = load(["?mumble"])
    [hypothesis] = backend.decode([request()])
    assert hypothesis.text == "mumble"
    assert len(model.seen) == 2


def test_a_loop_is_followed_to_the_end_and_then_cut(load: Load) -> None:
    backend, model = load([LOOP])
    [hypothesis] = backend.decode([request()])
    assert hypothesis.text == "a b c"
    assert model.contexts == [900, FULL_CONTEXT_FRAMES]
    assert model.stamped == [False, True, False, False]
    assert model.temperatures == [0.0, 0.0, 0.0, 0.4]


def test_an_echo_is_asked_without_its_prefix_and_keeps_its_times(load: Load) -> None:
    backend, model = load(["hold the line", "hold the line"])
    echo = request(5.0, prefix_text="Please hold the line.", prefix_s=2.0)
    [hypothesis] = backend.decode([echo])
    assert hypothesis.text == "hold the line"
    assert model.seen[1][0].duration_s == 3.0
    assert model.seen[1][0].prefix_text == ""
    assert (hypothesis.words[0].start_s, hypothesis.words[-1].end_s) == pytest.approx((2.0, 5.0))


def test_a_language_is_detected_once(load: Load) -> None:
    backend, model = load(["?ja", "ja"])
    [hypothesis] = backend.decode([request(language=None)])
    assert (hypothesis.language, hypothesis.language_confidence) == ("de", 0.6)
    assert model.detections == 1
    assert model.contexts == [1500, FULL_CONTEXT_FRAMES]


def test_what_nobody_waits_for_is_left_off_at_the_next_step(load: Load) -> None:
    backend, model = load(["hello"])
    unwanted, wanted = request(), request()
    unwanted.interest.is_lost = True
    with pytest.raises(NobodyWaitsError):
        backend.decode([unwanted])
    assert model.contexts == [900]
    assert not model.seen
    # One that waits is reason enough for its batch.
    assert len(backend.decode([unwanted, wanted])) == 2


def test_what_nobody_waits_for_is_not_asked_again(load: Load) -> None:
    backend, model = load(["?mumble", "hello"])
    unwanted = request()
    unwanted.interest.is_lost = True
    backend.decode([unwanted, request()])
    assert len(model.seen) == 1


def test_several_doubtful_requests_of_a_batch_are_asked_one_by_one(load: Load) -> None:
    backend, model = load(["?mumble", "fine", "?mutter", "mumbling", "muttering"])
    hypotheses = backend.decode([request(1.0), request(2.0), request(3.0)])
    assert [hypothesis.text for hypothesis in hypotheses] == ["mumbling", "fine", "muttering"]
    assert model.contexts == [900]


def test_who_leaves_while_being_asked_again_takes_nobody_along(load: Load) -> None:
    backend, model = load(["?mumble", "hello", "mumbling"])
    leaving, waiting = request(1.0), request(2.0)

    def leave() -> None:
        leaving.interest.is_lost = len(model.seen) == 2

    model.when_asked = leave
    _, hypothesis = backend.decode([leaving, waiting])
    assert len(model.seen) == 2
    assert hypothesis.text == "hello"


@define
class ScriptedAligner:
    """Finds every word in the middle of the audio; counts how often it was made to hear."""

    languages: frozenset[str] = frozenset({"en"})
    listened: int = 0

    def load(self) -> None:
        """Nothing to load."""

    def listen(self, samples: npt.NDArray[np.float32]) -> LogProbs:
        self.listened += 1
        return samples[np.newaxis]

    def align(
        self, heard: LogProbs, words: Sequence[str], duration_s: float
    ) -> list[WordSpan | None]:
        return [WordSpan(duration_s / 2, duration_s) for _ in words]


def aligned_load(load: Load, script: list[str]) -> tuple[WhisperXBackend, ScriptedAligner]:
    aligner = ScriptedAligner()
    backend, _ = load(script, aligner)
    aligner.listened = 0
    return backend, aligner


@pytest.mark.parametrize(
    ("asked", "script", "times_listened", "start_s"),
    [
        ({}, "hello", 1, 1.0),
        ({"provisional": True}, "hello", 0, 0.0),
        ({"language": "de"}, "hallo", 0, 0.0),
        # Detected, as German.
        ({"language": None}, "hallo", 0, 0.0),
    ],
)
def test_an_aligner_hears_what_it_can_and_what_it_is_wanted_for(
    load: Load, asked: dict[str, Any], script: str, times_listened: int, start_s: float
) -> None:
    backend, aligner = aligned_load(load, [script])
    [hypothesis] = backend.decode([request(**asked)])
    assert aligner.listened == times_listened
    assert hypothesis.words[0].start_s == start_s
    assert (hypothesis.alignment_ms > 0) is bool(times_listened)
    assert hypothesis.compute_ms > hypothesis.alignment_ms


def test_a_detected_language_is_aligned_too(load: Load) -> None:
    backend, aligner = aligned_load(load, ["hallo"])
    aligner.languages = frozenset({"de"})
    [hypothesis] = backend.decode([request(language=None)])
    assert aligner.listened == 1
    assert hypothesis.words[0].start_s == 1.0
