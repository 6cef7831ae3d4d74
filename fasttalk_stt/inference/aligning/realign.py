"""A hypothesis with the times of an aligner instead of the decoder's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import evolve

from fasttalk_stt.inference.aligning.ctc import WordSpan
from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.word_times import regularise_word_times


class WordAligner(Protocol):
    """Finds known words in audio. Blocks; safe from several threads after `load`."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes of what it can align."""

    def load(self) -> None:
        """Raises EngineError."""

    def align(
        self, samples: npt.NDArray[np.float32], words: Sequence[str]
    ) -> list[WordSpan | None] | None:
        """See `ctc.CtcAligner.align`."""


def realigned(request: DecodeRequest, hypothesis: Hypothesis, aligner: WordAligner) -> Hypothesis:
    """The same words at the times the aligner finds; as they were where it finds none.

    The request's prefix is aligned with them: it is in the audio, and would be taken for them.
    """
    if not hypothesis.words or hypothesis.language not in aligner.languages:
        return hypothesis
    before = request.prefix_text.split()
    spans = aligner.align(request.samples, [*before, *(word.text for word in hypothesis.words)])
    if spans is None:
        return hypothesis
    words = [
        word if span is None else evolve(word, start_s=span.start_s, end_s=span.end_s)
        for word, span in zip(hypothesis.words, spans[len(before) :], strict=True)
    ]
    return evolve(hypothesis, words=tuple(regularise_word_times(words, request.duration_s)))
