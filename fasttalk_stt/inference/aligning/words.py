"""Words in what a CTC model heard, however the model spells them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fasttalk_stt.inference.aligning.forced import Span, force_align
from fasttalk_stt.inference.aligning.spans import LogProbs

LEAST_SCORE = -5.0
"""A mean log probability of the symbols below this says that something else was spoken. A guess: for
phonemes the words of TIMIT lie above -2, random ones below -7; for letters it was not measured."""

Spelling = Sequence[Sequence[int]]
"""A written word as the symbols of each word that is spoken for it; none for what is not spoken."""


def find_words(
    heard: LogProbs, spellings: Sequence[Spelling], *, blank: int, boundary: int | None
) -> list[list[Span]] | None:
    """The spans of each word's symbols, in order; none of a word without symbols.

    `boundary` is the model's symbol between words, None where it has none. None for all where there is
    nothing to find or it does not fit what was heard.
    """
    tokens: list[int] = []
    owners: list[int | None] = []
    for number, spelling in enumerate(spellings):
        for symbols in spelling:
            if not symbols:
                continue
            if tokens and boundary is not None:
                tokens.append(boundary)
                owners.append(None)
            tokens += symbols
            owners += [number] * len(symbols)
    if not tokens:
        return None
    spans = force_align(heard, tokens, blank)
    if spans is None or np.mean([span.score for span in spans]) < LEAST_SCORE:
        return None
    of_words: list[list[Span]] = [[] for _ in spellings]
    for span, owner in zip(spans, owners, strict=True):
        if owner is not None:
            of_words[owner].append(span)
    return of_words
