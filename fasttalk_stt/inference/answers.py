"""The engine's answers to one request: which of several is kept, and what it says in the end.

Pure. `doubts` judged each answer, `word_times` makes the times keep their promises.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from fasttalk_stt.inference.decoding import Draft
from fasttalk_stt.inference.doubts import Doubt
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest, Hypothesis
from fasttalk_stt.inference.loops import (
    COMPRESSION_RATIO_LIMIT,
    compression_ratio,
    find_repetition,
    find_run,
)
from fasttalk_stt.inference.word_times import regularise_word_times


@frozen
class Language:
    """What a request is taken to be spoken in, and how sure that is (0-1, 1 where it was told)."""

    code: str
    confidence: float


@frozen
class Answer:
    """What one attempt made of a request.

    `words` are the draft's, punctuation joined, with raw times in seconds from the request's first
    sample; `compute_ms` is the attempt's share of the engine's time.
    """

    draft: Draft
    words: tuple[DecodedWord, ...]
    language: Language
    doubt: Doubt | None
    compute_ms: float

    def shifted(self, by_s: float) -> Answer:
        """The same, for a request that begins so many seconds earlier."""
        words = (
            evolve(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s)
            for word in self.words
        )
        return evolve(self, words=tuple(words))


_WORST_FIRST: tuple[frozenset[Doubt | None], ...] = (
    frozenset({Doubt.LOOP}),
    frozenset({Doubt.ECHO, Doubt.TWICE}),
    frozenset({Doubt.UNLIKELY, Doubt.STOPS_SHORT}),
    frozenset({None}),
)


def best_answer(answers: Sequence[Answer]) -> Answer:
    """The one with the least grave doubt; among equals the latest, which was asked the most carefully.

    `answers` are in the order of the attempts, at least one. Their log probabilities are not
    compared: a wider search or a narrower context moves them more than the truth does.
    """

    def merit(answer: Answer) -> tuple[int, bool]:
        [rank] = [index for index, rung in enumerate(_WORST_FIRST) if answer.doubt in rung]
        return rank, compression_ratio(answer.draft.text) <= COMPRESSION_RATIO_LIMIT

    return max(reversed(answers), key=merit)


def to_hypothesis(request: DecodeRequest, answer: Answer, compute_ms: float) -> Hypothesis:
    """What the answer says: loops cut, those too that go on from the prefix, and times regular."""
    words = list(answer.words)
    draft = answer.draft
    if draft.is_looped:
        cut = find_repetition([word.text for word in words])
        words = words[:cut] if cut is not None else []
    before = request.prefix_text.split()
    while find_repetition(before) is not None:
        # What is there already is no reason to cut what does not go on with it.
        del before[0]
    run = find_run([*before, *(word.text for word in words)])
    if run is not None:
        del words[max(run[0] - len(before), 0) : max(run[1] - len(before), 0)]
    if request.prefix_text:
        # Punctuation that closes the prefix comes too late to be joined to it.
        while words and not any(character.isalnum() for character in words[0].text):
            del words[0]
    if not len(request.samples):
        words = []
    return Hypothesis(
        words=tuple(regularise_word_times(words, request.duration_s)),
        language=answer.language.code,
        language_confidence=answer.language.confidence,
        no_speech_probability=draft.no_speech_probability,
        average_log_probability=draft.average_log_probability,
        compression_ratio=compression_ratio("".join(word.text for word in words).strip()),
        compute_ms=compute_ms,
    )
