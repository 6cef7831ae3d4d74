"""Talk that can be checked word by word: tones that the fake engine reads exactly."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen

from fasttalk_stt.inference.tones import N_WORDS, tone_word, tones
from tools.hearing.audio import RATE_HZ, Audio

PAUSES_S = (0.3, 0.8, 1.5)
"""Behind a turn: inside an utterance, about its end, and beyond."""
FEWEST_WORDS = 3
"""The WebRTC detector, which takes tones for voice, does not know a single one at the beginning."""
MOST_WORDS = 14
LEAD_S = 0.5


@frozen
class Conversation:
    """What one client says; `words` is what must come back, in order, each once."""

    samples: Audio = field(eq=False, repr=False)
    words: tuple[str, ...]


def make_conversation(rng: np.random.Generator, seconds: float) -> Conversation:
    """Turns of a few words with pauses between, for about so long."""
    pieces = [np.zeros(round(LEAD_S * RATE_HZ), dtype=np.float32)]
    words: list[str] = []
    while sum(map(len, pieces)) < seconds * RATE_HZ:
        numbers = rng.integers(0, N_WORDS, size=rng.integers(FEWEST_WORDS, MOST_WORDS + 1)).tolist()
        pause = np.zeros(round(float(rng.choice(PAUSES_S)) * RATE_HZ), dtype=np.float32)
        pieces += [tones(numbers), pause]
        words += map(tone_word, numbers)
    return Conversation(np.concatenate(pieces), tuple(words))
