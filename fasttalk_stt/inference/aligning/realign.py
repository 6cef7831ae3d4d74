"""A hypothesis with the times of an aligner instead of the decoder's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import evolve

from fasttalk_stt.inference.aligning.spans import LogProbs, WordSpan
from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.word_times import regularise_word_times


class WordAligner(Protocol):
    """Finds known words in audio. Blocks; safe from several threads after `load`."""

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes of what it can align."""

    def load(self) -> None:
        """Raises EngineError."""

    def listen(self, samples: npt.NDArray[np.float32]) -> LogProbs:
        """What it hears in float32[n_samples] at 16 kHz. Needs no words: it can begin before there are
        any. Raises EngineError."""

    def align(
        self, heard: LogProbs, words: Sequence[str], duration_s: float
    ) -> list[WordSpan | None] | None:
        """Where each word was spoken in what was heard in `duration_s`, in order.

        None for a word that is not spoken ("-"); None for all where they do not fit.
        """


def realigned(
    request: DecodeRequest, hypothesis: Hypothesis, aligner: WordAligner, heard: LogProbs
) -> Hypothesis:
    """The same words at the times the aligner finds; as they were where it finds none.

    `heard` is what it heard in the request. The request's prefix is aligned with the words: it is in
    the audio, and would be taken for them.
    """
    before = request.prefix_text.split()
    words = [*before, *(word.text for word in hypothesis.words)]
    spans = aligner.align(heard, words, request.duration_s)
    if spans is None:
        return hypothesis
    timed = [
        word if span is None else evolve(word, start_s=span.start_s, end_s=span.end_s)
        for word, span in zip(hypothesis.words, spans[len(before) :], strict=True)
    ]
    return evolve(hypothesis, words=tuple(regularise_word_times(timed, request.duration_s)))
