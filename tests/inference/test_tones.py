"""Words as tones: what is said is what is heard, wherever the audio is cut between words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.tones import GAP_S, N_WORDS, TONE_S, hear_tones, tone_word, tones

NUMBERS = st.lists(st.integers(0, N_WORDS - 1), min_size=1, max_size=12)


@given(NUMBERS, st.integers(0, 300))
def test_what_is_said_is_heard(numbers: list[int], lead_samples: int) -> None:
    samples = np.concatenate((np.zeros(lead_samples, dtype=np.float32), tones(numbers)))
    words = hear_tones(DecodeRequest(samples))
    assert [word.text.strip() for word in words] == [tone_word(n) for n in numbers]
    for index, word in enumerate(words):
        start_s = index * (TONE_S + GAP_S) + lead_samples / 16_000
        assert word.start_s == pytest.approx(start_s, abs=0.02)
        assert word.end_s == pytest.approx(start_s + TONE_S, abs=0.02)


def test_less_than_half_a_word_is_none() -> None:
    samples = tones([3, 5])
    cut = round((TONE_S + GAP_S + TONE_S * 0.4) * 16_000)
    assert [w.text for w in hear_tones(DecodeRequest(samples[:cut]))] == [" w3"]
    assert [w.text for w in hear_tones(DecodeRequest(samples[cut:]))] == [" w5"]


def test_words_of_the_prefix_are_not_heard_again() -> None:
    samples = tones([1, 2, 3])
    request = DecodeRequest(samples, prefix_text="w1 w2", prefix_s=2 * (TONE_S + GAP_S))
    assert [word.text for word in hear_tones(request)] == [" w3"]


def test_a_number_that_is_no_word_is_refused() -> None:
    with pytest.raises(ValueError, match="64 is no word"):
        tones([N_WORDS])
