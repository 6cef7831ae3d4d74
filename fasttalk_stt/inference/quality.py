"""Whether a hypothesis is something somebody said, judged by the decoder's own figures.

Whisper was trained on captioned videos and writes their stock phrases on silence, hum and noise.
Pure functions; what the voice detector knows is not asked here.
"""

from __future__ import annotations

import re

from fasttalk_stt.inference.engine import DecodedWord, Hypothesis
from fasttalk_stt.inference.loops import is_loop

SPEECH_EVIDENCE = -1.7
STOCK_PHRASE_EVIDENCE = -1.2
"""Below these `evidence` is too thin, for any text and for a stock phrase. Measured with the full
context and beam 5, see `evidence`."""

_PHRASE_END = re.compile(r"[.,!?…]+")

# In lower case, without punctuation. Whatever Whisper's models are known to write where nobody
# speaks, and what sneezes and barks sound like to them; most are also said by people, so they fall only
# where the evidence is thin.
STOCK_PHRASES = frozenset(
    {
        "ah",
        "amen",
        "bye",
        "bye bye",
        "ha",
        "heh",
        "huh",
        "i'm sorry",
        "oh",
        "ok",
        "okay",
        "please subscribe",
        "see you next time",
        "so",
        "thank you",
        "thank you for watching",
        "thank you so much",
        "thank you so much for watching",
        "thank you very much",
        "thanks",
        "thanks for watching",
        "the end",
        "yeah",
        "you",
        "you you",
    }
)


def evidence(hypothesis: Hypothesis) -> float:
    """How much speaks for speech: the mean log probability less the no-speech probability.

    Each figure alone is ambiguous: a short "two" has a low probability, a quiet speaker a high
    no-speech figure. With tiny.en and base, one-word utterances lie above -1.7, most above -1.3;
    noise, music and silence lie mostly below -1.7, and what lies above there is mostly barking,
    crying and laughing.
    """
    return hypothesis.average_log_probability - hypothesis.no_speech_probability


def is_speech(hypothesis: Hypothesis) -> bool:
    """False for what the decoder made up: no words, thin evidence, loops, stock phrases on noise."""
    if not any(character.isalnum() for character in hypothesis.text):
        return False
    if is_loop(hypothesis.text):
        return False
    needed = STOCK_PHRASE_EVIDENCE if is_stock_phrase(hypothesis.text) else SPEECH_EVIDENCE
    return evidence(hypothesis) >= needed


def speech_words(hypothesis: Hypothesis) -> tuple[DecodedWord, ...]:
    """The hypothesis' words, or none where it is no speech."""
    return hypothesis.words if is_speech(hypothesis) else ()


def is_stock_phrase(text: str) -> bool:
    """Whether the text is one of the phrases Whisper writes on noise, or such phrases in a row."""
    phrases = [_plain(phrase) for phrase in _PHRASE_END.split(text)]
    spoken = [phrase for phrase in phrases if phrase]
    return bool(spoken) and all(phrase in STOCK_PHRASES for phrase in spoken)


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("-", " ").split()).strip("\"' ")
