"""Whether what an engine returns is a hypothesis at all: everything behind it relies on that."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import BadOutputError

LONGEST_S = 31.0
"""Where words may end: in the model's window of 30 s, roughly, since times are estimates."""


def check_hypotheses(requests: Sequence[DecodeRequest], answers: Sequence[object]) -> None:
    """Raises BadOutputError where there are not as many hypotheses as requests."""
    if len(answers) != len(requests):
        raise BadOutputError(f"{len(answers)} answers to {len(requests)} requests")
    for answer in answers:
        if not isinstance(answer, Hypothesis):
            raise BadOutputError(f"an answer is {type(answer).__name__}, not a Hypothesis")
        _check_figures(answer)
        _check_words(answer.words)


def _check_figures(answer: Hypothesis) -> None:
    figures = (
        answer.language_confidence,
        answer.no_speech_probability,
        answer.average_log_probability,
        answer.compression_ratio,
        answer.compute_ms,
    )
    if not all(isinstance(figure, int | float) and math.isfinite(figure) for figure in figures):
        raise BadOutputError("a figure of an answer is no finite number")
    if not isinstance(answer.language, str) or not answer.language:
        raise BadOutputError("an answer has no language")


def _check_words(words: Sequence[DecodedWord]) -> None:
    latest_s = 0.0
    for word in words:
        if not isinstance(word.text, str) or not word.text.strip():
            raise BadOutputError("a word has no text")
        if not math.isfinite(word.confidence):
            raise BadOutputError("a word's confidence is no finite number")
        if not latest_s <= word.start_s < word.end_s <= LONGEST_S:
            raise BadOutputError("the times of words are out of order or outside the window")
        latest_s = word.start_s
