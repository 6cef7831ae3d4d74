"""Which words of an answer were spoken: those in whose place a detector heard voice.

A decoder writes words on breath, clicks and noise beside speech; where nothing was voiced, nothing was
said.
"""

from __future__ import annotations

from collections.abc import Sequence

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.segments import HeardWord

WORD_TIME_ERROR_SAMPLES = pipeline_samples(0.25)
"""Word times from cross-attention are wrong by 76 ms in the mean, and by more than this hardly ever."""


def spoken_words(
    words: Sequence[HeardWord], voiced: Sequence[tuple[int, int]] | None
) -> tuple[HeardWord, ...]:
    """The words that touch a voiced stretch [start, end), within the error of their times.

    Without a detector (None) all of them.
    """
    if voiced is None:
        return tuple(words)
    return tuple(word for word in words if _is_voiced(word, voiced))


def _is_voiced(word: HeardWord, voiced: Sequence[tuple[int, int]]) -> bool:
    earliest = word.start - WORD_TIME_ERROR_SAMPLES
    latest = word.end + WORD_TIME_ERROR_SAMPLES
    return any(start < latest and end > earliest for start, end in voiced)
