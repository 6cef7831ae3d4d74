"""Words that only say "go on": what a listener murmurs while somebody else speaks.

Asked while the bot speaks, and then alone: after its question "yes" is an answer. What is not
listed is no backchannel, so a stop word never is one. The default lists are data, in
`backchannel_phrases`; an operator's own file may replace them language by language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.backchannel_phrases import (
    COMMON_PHRASES,
    INTERRUPTING_WORDS,
    PHRASES,
)
from fasttalk_stt.protocol.config import primary_language

LONGEST_WORDS = 4
"""As in "I see, I see"; more words are a contribution, whatever they are."""

_WORD_SAMPLES = pipeline_samples(0.6)
_SLACK_SAMPLES = pipeline_samples(0.6)
"""Measured on recordings of a word or two: 0.3-1.0 s, rarely 1.4 s. Where somebody spoke for longer than
the words need, the decoder missed some, and what it missed may matter."""

_MOST_WORDS = 10
_QUESTION_MARKS = "?？"
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_BETWEEN_PARTS = re.compile(r"[-‐‑\s]+")
_DRAWN_OUT = re.compile(r"(.)\1{2,}")

Phrase = tuple[str, ...]


class BackchannelsError(ValueError):
    """An operator's list cannot be used; the message names the place and what is allowed."""


def _phrase_parts(phrases: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[Phrase]]:
    return {
        language: frozenset(parts for phrase in listed if (parts := _parts(phrase)))
        for language, listed in phrases.items()
    }


@frozen
class Backchannels:
    """Phrases by ISO 639-1 code, in any spelling of case, hyphens and punctuation.

    `longest_words` bounds a text, counted as written: "mm-hm" is one word.
    """

    phrases: Mapping[str, frozenset[Phrase]] = field(converter=_phrase_parts)
    longest_words: int = LONGEST_WORDS

    def matches(
        self, text: str, language: str | None = None, speech_samples: int | None = None
    ) -> bool:
        """Whether all of a text consists of backchannels.

        `language` is the text's, as ISO 639-1 or BCP 47. Where it is None or has no list, the phrases
        of all languages count: on a hum a language detector guesses, and none of them interrupts.
        `speech_samples` is how long was spoken, at 16 kHz; None leaves that out.
        """
        if text.rstrip("\"'”’)» ").endswith(tuple(_QUESTION_MARKS)):
            return False
        words = text.split()
        if not 0 < len(words) <= self.longest_words:
            return False
        if speech_samples is not None and speech_samples > _longest_speech(len(words)):
            return False
        return _consists_of(_parts(text), self._phrases_of(language))

    def _phrases_of(self, language: str | None) -> frozenset[Phrase]:
        known = self.phrases.get(primary_language(language) or "")
        return frozenset().union(*self.phrases.values()) if known is None else known


def default_backchannels() -> Backchannels:
    """The lists that come with the package."""
    return Backchannels({language: COMMON_PHRASES | listed for language, listed in PHRASES.items()})


def read_backchannels(toml_text: str) -> Backchannels:
    """An operator's lists, from TOML such as:

        longest_words = 3
        [phrases]
        en = ["mm-hm", "got it"]
        fr = []

    A language (ISO 639-1) that is named replaces its default list, an empty one turns it off; the others
    keep theirs. Raises BackchannelsError for text that is not TOML, an unknown key, a value of another
    type, and a phrase with a word that interrupts ("stop", "no").
    """
    try:
        content = tomllib.loads(toml_text)
    except tomllib.TOMLDecodeError as error:
        raise BackchannelsError(f"the backchannels are not TOML: {error}") from error
    unknown = sorted(content.keys() - {"longest_words", "phrases"})
    if unknown:
        raise BackchannelsError(f"unknown key {unknown[0]!r}: expected longest_words or phrases")
    listed = content.get("phrases", {})
    if not isinstance(listed, dict):
        raise BackchannelsError("phrases must be a table of lists, one for each language")
    phrases = {language: COMMON_PHRASES | default for language, default in PHRASES.items()}
    phrases |= {language: _checked_phrases(language, given) for language, given in listed.items()}
    return Backchannels(phrases, _checked_length(content.get("longest_words", LONGEST_WORDS)))


def _checked_phrases(language: str, given: Any) -> frozenset[str]:
    if primary_language(language) != language:
        raise BackchannelsError(
            f"phrases.{language}: name the language alone, as in phrases.{primary_language(language)}"
        )
    if not isinstance(given, list) or not all(isinstance(phrase, str) for phrase in given):
        raise BackchannelsError(f"phrases.{language} must be a list of strings")
    interrupting = INTERRUPTING_WORDS.get(language, frozenset())
    for phrase in given:
        parts = _parts(phrase)
        if not parts:
            raise BackchannelsError(f"phrases.{language} holds {phrase!r}, which has no words")
        harmful = interrupting.intersection(parts)
        if harmful:
            raise BackchannelsError(
                f"phrases.{language} holds {phrase!r}: {min(harmful)!r} interrupts and can never "
                "be a backchannel"
            )
    return frozenset(given)


def _checked_length(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MOST_WORDS:
        raise BackchannelsError(
            f"longest_words is {given!r}: expected a whole number from 1 to {_MOST_WORDS}"
        )
    return given


def _longest_speech(n_words: int) -> int:
    return _SLACK_SAMPLES + n_words * _WORD_SAMPLES


def _parts(text: str) -> Phrase:
    """The words of a text as they are compared: lower case, bare, "mm-hm" in two."""
    lowered = text.lower().replace("’", "'")
    bare = (_EDGES.sub("", piece) for piece in _BETWEEN_PARTS.split(lowered))
    return tuple(_DRAWN_OUT.sub(r"\1", piece) for piece in bare if piece)


def _consists_of(parts: Phrase, phrases: Iterable[Phrase]) -> bool:
    """Whether parts are phrases, one after another; empty parts are not."""
    if not parts:
        return False
    reached = {0}
    for end in range(1, len(parts) + 1):
        if any(
            end - len(phrase) in reached and parts[end - len(phrase) : end] == phrase
            for phrase in phrases
        ):
            reached.add(end)
    return len(parts) in reached
