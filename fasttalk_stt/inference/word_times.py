"""Words and their times, from the decoder's tokens and what its attention looked at.

Pure functions: the alignment itself (cross-attention and dynamic time warping) is computed by
`whisperx_backend`. Every word gets times, digits and symbols too, and what comes out keeps the
promises of `engine.DecodedWord` whatever went in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from fasttalk_stt.inference.engine import DecodedWord

TOKENS_PER_S = 50
"""Whisper's encoder gives one position every 20 ms."""

MINIMUM_WORD_S = 0.02
"""One encoder position; a word is never shorter unless the audio has no room for it."""

PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"  # both as in faster-whisper

LANGUAGES_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Where the tokenizer splits at any character, and a piece is a word of its own."""


@frozen
class TokenWord:
    """A word as the tokenizer splits it: its text with leading space, and how many tokens."""

    text: str
    n_tokens: int


def join_pieces(pieces: Sequence[TokenWord]) -> list[TokenWord]:
    """Join what is written without a space: the tokenizer cuts "$23.50" at every mark.

    Closing punctuation stays apart, so that its token's time, which reaches into the pause, is not
    the word's; `merge_punctuation` adds its text.
    """
    joined: list[TokenWord] = []
    marks: list[TokenWord] = []
    for piece in pieces:
        if joined and piece.text in APPENDED_PUNCTUATION:
            marks.append(piece)
        elif joined and not piece.text.startswith(" "):
            parts = [joined.pop(), *marks, piece]
            marks.clear()
            joined.append(
                TokenWord(
                    text="".join(part.text for part in parts),
                    n_tokens=sum(part.n_tokens for part in parts),
                )
            )
        else:
            joined += [*marks, piece]
            marks.clear()
    return joined + marks


def timed_words(
    words: Sequence[TokenWord],
    alignment: Sequence[tuple[int, int]],
    token_probabilities: Sequence[float],
    *,
    n_prefix_tokens: int = 0,
) -> list[DecodedWord]:
    """Give each word its raw times in seconds and its confidence.

    `alignment` holds (token, encoder position) pairs of the whole warping path, tokens counted
    from the prefix's first; `token_probabilities` is one per token. The words are those after the
    prefix. The times may still overlap or be empty: see `regularise_word_times`.
    """
    if not words or not alignment:
        return []
    starts_s = _token_starts_s(alignment)
    timed = []
    first = n_prefix_tokens
    for word in words:
        after = first + word.n_tokens
        timed.append(
            DecodedWord(
                text=word.text,
                start_s=_at(starts_s, first),
                end_s=_at(starts_s, after),
                confidence=_mean(token_probabilities[first:after]),
            )
        )
        first = after
    return timed


def merge_punctuation(words: Sequence[DecodedWord]) -> list[DecodedWord]:
    """Join punctuation to the word it belongs to; the text stays the same.

    The word keeps its own times and confidence, as in faster-whisper.
    """
    merged: list[DecodedWord] = []
    opening = ""
    for word in words:
        bare = word.text.strip()
        if not bare or (word.text.startswith(" ") and bare in PREPENDED_PUNCTUATION):
            # White space alone is no word either; scripts without spaces have it as a piece.
            opening += word.text
        elif merged and not opening and word.text and word.text in APPENDED_PUNCTUATION:
            merged[-1] = evolve(
                merged[-1], text=merged[-1].text + word.text, mark_confidence=word.confidence
            )
        else:
            merged.append(evolve(word, text=opening + word.text))
            opening = ""
    if opening:
        # An opening mark at the very end opens nothing: it belongs to the last word.
        if not merged:
            return [evolve(words[-1], text=opening)] if opening.strip() else []
        merged[-1] = evolve(merged[-1], text=merged[-1].text + opening)
    return merged


def regularise_word_times(words: Sequence[DecodedWord], duration_s: float) -> list[DecodedWord]:
    """Make the times keep their promises, moving them as little as that needs.

    Afterwards start < end for each word, starts and ends never decrease, words do not overlap,
    and all lies within 0 .. `duration_s` (which must be positive where there are words). Texts
    and confidences in 0-1 stay. A word is at least `MINIMUM_WORD_S` long, or its equal share of
    the audio where that is less.
    """
    if not words:
        return []
    if not duration_s > 0:
        raise ValueError(f"words need a positive duration, got {duration_s}")
    shortest_s = min(MINIMUM_WORD_S, duration_s / len(words))
    regular: list[DecodedWord] = []
    free_from_s = 0.0
    for index, word in enumerate(words):
        # Each later word keeps room for its shortest length.
        room_until_s = duration_s - (len(words) - 1 - index) * shortest_s
        latest_start_s = max(free_from_s, room_until_s - shortest_s)
        start_s = min(max(_finite(word.start_s), free_from_s), latest_start_s)
        end_s = min(max(_finite(word.end_s), start_s + shortest_s), room_until_s)
        if not end_s > start_s:
            # Only rounding gets here: thousands of words in no time.
            end_s = float(np.nextafter(start_s, np.inf))
        regular.append(
            evolve(
                word,
                start_s=start_s,
                end_s=end_s,
                confidence=min(max(_finite(word.confidence), 0.0), 1.0),
            )
        )
        free_from_s = end_s
    return regular


def _token_starts_s(alignment: Sequence[tuple[int, int]]) -> npt.NDArray[np.float64]:
    """When the warping path reaches each token, in seconds."""
    path = np.asarray(alignment, dtype=np.int64)
    is_jump = np.diff(path[:, 0], prepend=path[0, 0] - 1) > 0
    starts: npt.NDArray[np.float64] = path[is_jump, 1] / TOKENS_PER_S
    return starts


def _at(starts_s: npt.NDArray[np.float64], token: int) -> float:
    return float(starts_s[min(token, len(starts_s) - 1)])


def _mean(probabilities: Sequence[float]) -> float:
    return float(np.mean(probabilities)) if len(probabilities) else 0.0


def _finite(value: float) -> float:
    return value if np.isfinite(value) else 0.0
