"""Loops: the same words over and over, which a Whisper decoder falls into on hard audio.

Pure functions on words and tokens. `attempts` has a suspect decoded again, `answers` cuts what is
still a loop after that.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

COMPRESSION_RATIO_LIMIT = 2.4
"""Whisper's own threshold: text that compresses better than this repeats itself."""

# How often in a row a phrase of so many words may come before it counts as a loop. People do say
# "no no no no" and "very very very", but hardly a phrase of three words three times in a row.
_REPEATS_ALLOWED = {1: 7, 2: 4}
_REPEATS_ALLOWED_LONG = 2

# Read English has 3 to 4 tokens a second, hurried English 6; 8 is the measured bound beyond which
# only loops lie. Other scripts need several tokens a character (a guess, not measured).
_TOKENS_PER_S = {"en": 8.0}
_TOKENS_PER_S_OTHER = 20.0
_TOKENS_SPARE = 12

# What speech mostly stays below: of 77 short English utterances none had more than 4.7 tokens a
# second, nor more than 5 a second and 2.
_TIGHT_TOKENS_PER_S = {"en": 6.0}
_TIGHT_TOKENS_SPARE = 8


def token_limit(duration_s: float, language: str, *, is_tight: bool = False) -> int:
    """How many tokens so much speech can hold, punctuation and time stamps included.

    A loop costs more than anything else in a decoder, so it is stopped here. A tight limit is what
    speech mostly stays below: who reaches it is to be asked again without.
    """
    if is_tight and language in _TIGHT_TOKENS_PER_S:
        return math.ceil(_TIGHT_TOKENS_PER_S[language] * duration_s) + _TIGHT_TOKENS_SPARE
    rate = _TOKENS_PER_S.get(language, _TOKENS_PER_S_OTHER)
    return math.ceil(rate * duration_s) + _TOKENS_SPARE


def compression_ratio(text: str) -> float:
    """Bytes of the text over its bytes under zlib, as Whisper reckons it; 0.0 for no text."""
    if not text:
        return 0.0
    encoded = text.encode("utf-8")
    return len(encoded) / len(zlib.compress(encoded))


def is_loop(text: str) -> bool:
    """Whether the text repeats itself as speech does not."""
    if compression_ratio(text) > COMPRESSION_RATIO_LIMIT:
        return True
    return find_repetition(text.replace("-", " ").split()) is not None


def find_repetition(words: Sequence[str]) -> int | None:
    """Where a loop may be cut: the index after the first of its repetitions, or None."""
    run = find_run(words)
    return None if run is None else run[0]


def find_run(words: Sequence[str]) -> tuple[int, int] | None:
    """The words [start, end) that a loop says again, or None; the phrase stands once before them.

    Case and punctuation at the edges of a word do not count.
    """
    plain = _plain(words)
    for period in range(1, len(plain) // 3 + 1):
        allowed = _REPEATS_ALLOWED.get(period, _REPEATS_ALLOWED_LONG)
        # A run of equal words at this distance that is `period * allowed` long means that the
        # phrase stands `allowed + 1` times in a row.
        run = 0
        for index in range(period, len(plain)):
            run = run + 1 if plain[index] and plain[index] == plain[index - period] else 0
            if run == period * allowed:
                end = index + 1
                while end < len(plain) and plain[end] == plain[end - period]:
                    end += 1
                return index - period * allowed + 1, end
    return None


def says_phrase_twice(words: Sequence[str]) -> bool:
    """Whether a phrase of two or more words stands twice in a row anywhere, or one word twice is
    all there is. Case and punctuation at the edges of a word do not count."""
    plain = _plain(words)
    if len(plain) == 2 and plain[0] == plain[1]:
        return True
    for period in range(2, len(plain) // 2 + 1):
        run = 0
        for index in range(period, len(plain)):
            run = run + 1 if plain[index] and plain[index] == plain[index - period] else 0
            if run == period:
                return True
    return False


def _plain(words: Sequence[str]) -> list[str]:
    return [word.strip(" .,!?;:\"'-").casefold() for word in words]
