"""The engine interface: audio in, words out.

Everything outside this folder knows a speech recogniser only through these few types. The real
one is `whisperx_engine`, the scripted one for tests is `fake`. Nothing here knows of sessions or
sockets. Read `scheduler` next: it decides what is decoded when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import define, evolve, field, frozen

SAMPLE_RATE_HZ = 16_000
"""The rate of all audio that reaches an engine."""


@define(eq=False)
class Interest:
    """Whether anybody waits for an answer: the event loop says so, and an engine's thread looks."""

    is_lost: bool = False


@frozen
class DecodeRequest:
    """One stretch of speech to decode.

    `samples` is float32[n_samples], mono, -1..1, at 16 kHz, at most 30 s. `language` is an
    ISO 639-1 code, or None to detect it. `prefix_text` is what was already committed from the
    beginning of these samples, `prefix_s` how many seconds of them it covers: the decoder goes on
    after it and never returns it again. `vocabulary` holds names and terms to favour. A request that
    is `provisional` looks at speech that goes on: it will be asked again about what it did not hear at
    the end, and an engine may save the work for that and for exact times. When `interest` is lost it may
    stop.
    """

    samples: npt.NDArray[np.float32] = field(eq=False, repr=False)
    language: str | None = None
    vocabulary: tuple[str, ...] = ()
    prefix_text: str = ""
    prefix_s: float = 0.0
    provisional: bool = False
    interest: Interest = field(factory=Interest, eq=False, repr=False)

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def new_s(self) -> float:
        """How many seconds are to be decoded behind the prefix."""
        return max(self.duration_s - self.prefix_s, 0.0)


@frozen
class DecodedWord:
    """A word with its times in seconds from the first sample of the request, start < end.

    `text` carries its punctuation and the leading space the language gives it ("" joins the words
    of a hypothesis back into its text). `confidence` is the mean token probability, 0-1.
    `mark_confidence` is that of the last mark behind the word, None where there is none.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    mark_confidence: float | None = field(default=None, eq=False)


@frozen
class Hypothesis:
    """What the engine heard in one request, without the request's prefix.

    `words` covers every word of the text, in order, with non-decreasing times. The three figures
    of merit are Whisper's own: `no_speech_probability` 0-1, `average_log_probability` <= 0 per
    token, `compression_ratio` of the text's UTF-8 bytes under zlib. `compute_ms` is this request's
    share of the engine's time, of which `alignment_ms` went to the words' times. `model` is what heard
    it, where that is not the engine's usual one.
    """

    words: tuple[DecodedWord, ...]
    language: str
    language_confidence: float
    no_speech_probability: float
    average_log_probability: float
    compression_ratio: float
    compute_ms: float
    model: str | None = None
    alignment_ms: float = 0.0

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words).strip()

    def shifted(self, by_s: float) -> Hypothesis:
        """The same words, later by so many seconds."""
        words = (
            evolve(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s)
            for word in self.words
        )
        return evolve(self, words=tuple(words))


class Engine(Protocol):
    """A speech recogniser.

    `load` must be awaited once before the first `decode`. Both raise the errors of
    `inference.errors`. No more than `seats` calls of `decode` run at a time: the scheduler sees to
    it, and cancels them at shutdown only.
    """

    @property
    def model_name(self) -> str:
        """The name of the loaded model as clients and operators see it, such as "tiny.en"."""

    @property
    def supported_languages(self) -> frozenset[str]:
        """ISO 639-1 codes the loaded model can be asked for; empty before `load`."""

    @property
    def seats(self) -> int:
        """How many batches may be decoded at the same time, at least 1; does not change."""

    @property
    def batch_size(self) -> int:
        """The most requests that are worth decoding together, at least 1; does not change."""

    @property
    def request_s(self) -> float:
        """About how long one short request takes, in seconds, as `load` found out; 0 before."""

    async def load(self) -> None:
        """Load the model and warm it up, off the event loop.

        Raises ModelNotFoundError, or EngineError when the model does not work.
        """

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode a batch; the results are in the order of the requests.

        May raise NobodyWaitsError when the interest in all of them is lost.
        """
