"""Times of words from WhisperX's own aligners: a wav2vec2 model for each language, which hears letters.

The model is whatever `whisperx.load_align_model` takes for the language, fetched at its first use (0.4 to
1.2 GB). It blocks, is safe from several threads, and knows nothing of Whisper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from num2words import num2words

from fasttalk_stt.inference.aligning.english import spoken_words
from fasttalk_stt.inference.aligning.spans import LogProbs, WordSpan
from fasttalk_stt.inference.aligning.words import Spelling, find_words
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError

Foreign = Any

SHORTEST_SAMPLES = 400
"""The model's first window."""
LONGEST_NUMBER = 9
"""Longer figures are read one by one."""
_BLANKS = ("[pad]", "<pad>")
_WORD_BOUNDARY = "|"
_FIGURES = re.compile(r"\d+")


class Wav2Vec2Aligner:
    """Aligns words of one language. `model` is a name or a directory; None: WhisperX's choice."""

    def __init__(self, language: str, *, device: str = "cpu", model: str | None = None) -> None:
        self.languages = frozenset({language})
        self._language = language
        self._device = device
        self._model_name = model
        self._model: Foreign = None
        self._is_bundle = False
        self._symbols: dict[str, int] = {}
        self._letters: dict[str, int] = {}
        self._blank = 0

    def load(self) -> None:
        """Load the model, which may be fetched for it.

        Raises ModelNotFoundError where there is none for the language or it cannot be had.
        """
        import torch  # noqa: PLC0415
        from whisperx.alignment import load_align_model  # noqa: PLC0415

        try:
            model, metadata = load_align_model(self._language, self._device, self._model_name)
        except Exception as error:
            raise ModelNotFoundError(
                f"no wav2vec2 model to align {self._language!r} with ({error}): name one with "
                "ALIGN_MODEL, connect to the internet, or set ALIGNER=auto"
            ) from error
        # Nothing else here computes with it, and its threads would take the decoder's cores.
        torch.set_num_threads(1)
        self._model = model.eval()
        self._is_bundle = metadata["type"] == "torchaudio"
        self._symbols = dict(metadata["dictionary"])
        self._blank = next((self._symbols[name] for name in _BLANKS if name in self._symbols), 0)
        self._letters = {
            symbol: index
            for symbol, index in self._symbols.items()
            if len(symbol) == 1 and symbol != _WORD_BOUNDARY and index != self._blank
        }
        self.listen(np.zeros(SHORTEST_SAMPLES, dtype=np.float32))

    def align(
        self, heard: LogProbs, words: Sequence[str], duration_s: float
    ) -> list[WordSpan | None] | None:
        """Where each word was spoken in what was heard in `duration_s`, in order.

        None for a word of which the model knows no letter; None for all where they do not fit the audio.
        """
        if self._model is None:
            raise EngineError("the aligner is not loaded: call load() first")
        of_words = find_words(
            heard,
            [self._spelling(word) for word in words],
            blank=self._blank,
            boundary=self._symbols.get(_WORD_BOUNDARY),
        )
        if of_words is None:
            return None
        frame_s = duration_s / len(heard)
        return [
            WordSpan(spans[0].start * frame_s, spans[-1].end * frame_s) if spans else None
            for spans in of_words
        ]

    def _spelling(self, written: str) -> Spelling:
        return [
            [self._letters[letter] for letter in spoken if letter in self._letters]
            for spoken in self._spoken(written)
        ]

    def _spoken(self, written: str) -> Sequence[str]:
        """A word as it is spoken, in small letters: figures in words, where the language is known."""
        if self._language == "en":
            return spoken_words(written)
        return _FIGURES.sub(self._in_words, written).lower().split()

    def _in_words(self, figures: re.Match[str]) -> str:
        number = figures.group()
        parts = [number] if len(number) <= LONGEST_NUMBER else list(number)
        try:
            return " ".join(num2words(int(part), lang=self._language) for part in parts)
        except NotImplementedError:
            return number

    def listen(self, samples: npt.NDArray[np.float32]) -> LogProbs:
        """What it hears in float32[n_samples] at 16 kHz. Raises EngineError."""
        if self._model is None:
            raise EngineError("the aligner is not loaded: call load() first")
        import torch  # noqa: PLC0415

        padded = np.pad(samples, (0, max(SHORTEST_SAMPLES - len(samples), 0)))
        wave = torch.from_numpy(np.ascontiguousarray(padded, dtype=np.float32))
        try:
            with torch.inference_mode():
                answer = self._model(wave[None].to(self._device))
                emissions = answer[0] if self._is_bundle else answer.logits
                log_probs = torch.log_softmax(emissions[0].float(), dim=-1).cpu().numpy()
        except RuntimeError as error:
            raise EngineError(f"the aligner failed: {error}") from error
        found: LogProbs = log_probs
        return found
