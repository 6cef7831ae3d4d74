"""Figures read out one by one become one number, as they are written.

A decoder writes a telephone number now as "8 6 0 9", now as "8, 6, 0, 9" or "8-6-0-9", as the audio around
it happens to be. Whoever reads the text wants to find it in one form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from attrs import evolve

from fasttalk_stt.conversation.segments import Heard, HeardWord

FEWEST_FIGURES = 4
"""Fewer need not belong together: "for 2 3 year olds"."""

_FIGURES = re.compile(r"\s?\d(?:(?:-\d){2,})?[,.]?")
"""One, or a chain; two with a hyphen are a score or a range."""


def with_numbers(heard: Heard) -> Heard:
    """The same with each run of single figures as one word, from the first one's start to the last
    one's end. Its mark and confidence in it are the last one's, its own confidence their mean."""
    words = joined_figures(heard.words)
    return heard if words == heard.words else evolve(heard, words=words)


def joined_figures(words: Sequence[HeardWord]) -> tuple[HeardWord, ...]:
    """As `with_numbers`, for words alone."""
    joined: list[HeardWord] = []
    run: list[HeardWord] = []
    for word in words:
        if not is_figure(word):
            joined += _as_number(run)
            run = []
            joined.append(word)
        else:
            run.append(word)
            if word.text.endswith("."):
                # A sentence ends here, or so it seems: what follows is another number.
                joined += _as_number(run)
                run = []
    return (*joined, *_as_number(run))


def is_figure(word: HeardWord) -> bool:
    """Whether the word is a figure, or a chain of them, that may be part of a number read out."""
    return _FIGURES.fullmatch(word.text) is not None


def _as_number(run: Sequence[HeardWord]) -> Sequence[HeardWord]:
    figures = "".join(character for word in run for character in word.text if character.isdigit())
    if len(figures) < FEWEST_FIGURES or _counts(figures):
        return run
    first, last = run[0], run[-1]
    space = " " if first.text.startswith(" ") else ""
    mark = last.text[-1] if last.text[-1] in ",." else ""
    return [
        evolve(
            last,
            text=f"{space}{figures}{mark}",
            start=first.start,
            confidence=sum(word.confidence for word in run) / len(run),
        )
    ]


def _counts(figures: str) -> bool:
    """Whether somebody counts, up or down."""
    steps = {int(after) - int(before) for before, after in pairwise(figures)}
    return steps in ({1}, {-1})
