"""Signs that an answer is not what was said: it loops, repeats itself or the prefix, stops too soon.

Pure. Most of them come of asking for little audio with little silence behind it. `attempts` decides
what is done about a doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from fasttalk_stt.inference.decoding import LOW_LOG_PROBABILITY, Draft
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest
from fasttalk_stt.inference.loops import says_phrase_twice

SHORTEST_ECHO_WORDS = 2
REPEATED_WORDS = 4
"""So many words of the prefix, or from its end on, are not said again by chance."""
RECENT_WORDS = 12
UNEXPLAINED_TAIL_S = 1.0
"""More audio than this behind the last word and the answer is taken to have stopped too soon. The
requests of a session end at most 0.3 s behind the last voiced frame."""

LONGEST_LOOK_S = 6.0
"""A look at speech that goes on may leave its end out, and be unsure of it, unless so much is open by now
that the looks before did so too. One look in seven does; asking it again with the full context takes a third
of all of an engine's time, and every final behind it waits (8 streams, 95th percentile: 0.61 instead of
0.16 s). Of 1,244 s of continuous speech 11.6 % of words are wrong so and 11.1 % with the second look, of 273
recordings one by one 10.4 and 10.3 % (tiny.en)."""


class Doubt(Enum):
    """What speaks against an answer, the gravest first."""

    LOOP = auto()
    """It goes round in circles, or reached the bound on its length."""
    ECHO = auto()
    """It is nothing but what the prefix said already, or says its end again."""
    STOPS_SHORT = auto()
    """It ends long before the audio does."""
    TWICE = auto()
    """It says a phrase twice in a row: people do, and so does a decoder with little context."""
    UNLIKELY = auto()
    """The decoder itself did not believe in it."""


def find_doubt(
    draft: Draft, words: Sequence[DecodedWord], request: DecodeRequest, *, is_close: bool
) -> Doubt | None:
    """The gravest doubt about an answer, or None.

    `words` are the draft's, punctuation joined, with times in the request. `is_close` says that the
    decoder had little context: with more, what is said twice is believed.
    """
    if draft.says_nothing_was_said:
        return None
    goes_on = request.provisional and request.new_s <= LONGEST_LOOK_S
    signs = {
        Doubt.LOOP: draft.is_looped,
        Doubt.ECHO: echoes(words, request.prefix_text),
        Doubt.STOPS_SHORT: not goes_on and stops_short(words, request),
        Doubt.TWICE: is_close and says_phrase_twice([word.text for word in words]),
        Doubt.UNLIKELY: not goes_on and draft.average_log_probability < LOW_LOG_PROBABILITY,
    }
    return next((doubt for doubt, is_seen in signs.items() if is_seen), None)


def echoes(words: Sequence[DecodedWord], prefix_text: str) -> bool:
    """Whether the new words, all of them, end or stand in the prefix already, or whether a phrase comes
    again in them that began in the latest of the prefix."""
    new = [_plain(word.text) for word in words]
    old = [_plain(word) for word in prefix_text.split()]
    if len(new) < SHORTEST_ECHO_WORDS:
        return False
    if any(old[i : i + len(new)] == new for i in range(len(old) - len(new) + 1)):
        return True
    recent = old[-RECENT_WORDS:]
    said = recent + new
    first_said = {tuple(said[i : i + REPEATED_WORDS]) for i in range(len(recent))}
    return any(
        tuple(new[i : i + REPEATED_WORDS]) in first_said
        for i in range(len(new) - REPEATED_WORDS + 1)
    )


def stops_short(words: Sequence[DecodedWord], request: DecodeRequest) -> bool:
    """Whether the last word ends long before the audio does. No words at all are no sign."""
    return bool(words) and request.duration_s - words[-1].end_s > UNEXPLAINED_TAIL_S


def _plain(word: str) -> str:
    return word.strip(" .,!?;:\"'-").casefold()
