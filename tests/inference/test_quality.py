"""What counts as speech: figures as the decoder really gave them, on noise and on short words."""

from __future__ import annotations

import pytest

from fasttalk_stt.inference.engine import DecodedWord, Hypothesis
from fasttalk_stt.inference.quality import evidence, is_speech, is_stock_phrase, speech_words


def heard(text: str, log_probability: float, no_speech: float) -> Hypothesis:
    words = tuple(
        DecodedWord(text=f" {word}", start_s=index, end_s=index + 0.5, confidence=0.5)
        for index, word in enumerate(text.split())
    )
    return Hypothesis(
        words=words,
        language="en",
        language_confidence=1.0,
        no_speech_probability=no_speech,
        average_log_probability=log_probability,
        compression_ratio=1.0,
        compute_ms=1.0,
    )


@pytest.mark.parametrize(
    ("text", "log_probability", "no_speech"),
    [
        ("Thank you.", -1.04, 0.93),  # a click
        ("Thank you.", -0.81, 0.87),  # waves
        ("Thank you. Thank you.", -0.81, 0.87),
        ("Okay.", -0.71, 0.53),  # a sneeze
        ("you", -0.82, 0.95),  # 20 s of silence
        (". . .", -0.99, 0.96),  # 30 s of silence
        ("I'm gonna go to the room", -2.49, 0.45),  # a clock
        ("", 0.0, 0.0),
        ("L-L-L-L-L-L-L-L-L-L-L-L-L-L", -0.36, 0.38),  # a rooster
        ("It was the best. " * 5, -0.2, 0.01),
    ],
)
def test_noise_says_nothing(text: str, log_probability: float, no_speech: float) -> None:
    hypothesis = heard(text, log_probability, no_speech)
    assert not is_speech(hypothesis)
    assert speech_words(hypothesis) == ()


@pytest.mark.parametrize(
    ("text", "log_probability", "no_speech"),
    [
        ("Thank you.", -0.4, 0.05),
        ("Bye!", -0.6, 0.2),
        ("Two.", -1.07, 0.6),
        ("Zero.", -1.09, 0.14),
        ("six.", -0.61, 0.45),
        ("Hey computer.", -0.24, 0.06),
        ("zero zero seven zero zero seven", -0.3, 0.1),
    ],
)
def test_short_speech_survives(text: str, log_probability: float, no_speech: float) -> None:
    hypothesis = heard(text, log_probability, no_speech)
    assert is_speech(hypothesis)
    assert speech_words(hypothesis) == hypothesis.words


def test_evidence_falls_with_either_figure() -> None:
    good = evidence(heard("yes", -0.2, 0.1))
    assert evidence(heard("yes", -0.9, 0.1)) < good
    assert evidence(heard("yes", -0.2, 0.8)) < good


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thanks for watching!", True),
        ("Thank you. Bye-bye.", True),
        ("Okay, okay.", True),
        ("Thank you, Tom.", False),
        ("", False),
        ("...", False),
    ],
)
def test_stock_phrases(text: str, expected: bool) -> None:
    assert is_stock_phrase(text) is expected
