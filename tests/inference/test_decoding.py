"""Prompts, options, drafts: what the decoder is asked and how its answer is read."""

from __future__ import annotations

import numpy as np
import pytest

from fasttalk_stt.inference.decoding import (
    FRAMES_PER_S,
    FULL_CONTEXT_FRAMES,
    MAX_TOKENS,
    DecodingOptions,
    make_draft,
    make_prompt,
    pad_features,
)

SOT, ENGLISH, TRANSCRIBE, PREVIOUS, NO_TIMESTAMPS, ZERO, END = (
    1000,
    1001,
    1002,
    1003,
    1004,
    1005,
    999,
)


class LetterTokenizer:
    """One token a character, special tokens from 999; token 998 is half a character."""

    sot_prev = PREVIOUS
    sot_sequence = [SOT, ENGLISH, TRANSCRIBE]  # noqa: RUF012
    no_timestamps = NO_TIMESTAMPS
    timestamp_begin = ZERO
    eot = END

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, tokens: list[int]) -> str:
        return "".join("\ufffd" if token == 998 else chr(token) for token in tokens)


TOKENIZER = LetterTokenizer()


def test_plain_prompt() -> None:
    prompt = make_prompt(TOKENIZER, with_timestamps=False)
    assert prompt.tokens == (SOT, ENGLISH, TRANSCRIBE, NO_TIMESTAMPS)
    assert (prompt.n_previous, prompt.prefix) == (0, ())
    assert make_prompt(TOKENIZER, with_timestamps=True).tokens == (SOT, ENGLISH, TRANSCRIBE)


def test_vocabulary_stands_before_the_transcript() -> None:
    prompt = make_prompt(TOKENIZER, vocabulary=("ab", " ", "c"), with_timestamps=False)
    assert prompt.tokens[: prompt.n_previous] == (PREVIOUS, *TOKENIZER.encode(" ab, c"))
    assert prompt.tokens[prompt.n_previous] == SOT


def test_prefix_is_what_the_answer_goes_on_from() -> None:
    prompt = make_prompt(TOKENIZER, prefix_text=" hi ", with_timestamps=True)
    assert prompt.tokens == (SOT, ENGLISH, TRANSCRIBE, ZERO, *TOKENIZER.encode(" hi"))
    assert prompt.prefix == tuple(TOKENIZER.encode(" hi"))


def test_vocabulary_and_prefix_together_leave_room_for_an_answer() -> None:
    prompt = make_prompt(
        TOKENIZER, vocabulary=("x" * 500,), prefix_text="z" * 150 + "y" * 127, with_timestamps=True
    )
    assert len(prompt.tokens) < MAX_TOKENS - 180
    # The latest words are kept.
    assert prompt.prefix == tuple(TOKENIZER.encode("z" + "y" * 127))


def test_draft_leaves_out_time_stamps_and_half_characters() -> None:
    tokens = [ZERO, *TOKENIZER.encode(" hi"), 998, ZERO + 50]
    prompt = make_prompt(TOKENIZER, with_timestamps=True)
    read = make_draft(TOKENIZER, prompt, tokens, score=-0.6, no_speech_probability=0.2, limit=20)
    assert (read.text, read.tokens) == ("hi", tuple(TOKENIZER.encode(" hi")))
    assert read.average_log_probability == pytest.approx(-0.6 * 6 / 7)
    assert not read.hit_limit
    stopped = make_draft(TOKENIZER, prompt, tokens, score=-0.6, no_speech_probability=0.2, limit=6)
    assert stopped.hit_limit


def test_draft_leaves_out_the_prefix_the_decoder_repeats() -> None:
    prompt = make_prompt(TOKENIZER, prefix_text="oh", with_timestamps=False)
    tokens = TOKENIZER.encode(" oh hi")
    read = make_draft(TOKENIZER, prompt, tokens, score=-0.2, no_speech_probability=0.2, limit=9)
    assert read.text == "hi"
    # The sum over six tokens belongs to the three new ones and the end.
    assert read.average_log_probability == pytest.approx(-0.2 * 6 / 4)


def test_options() -> None:
    assert DecodingOptions(beam_size=3).generate_arguments()["beam_size"] == 3
    sampling = DecodingOptions(temperature=0.4).generate_arguments()
    assert (sampling["beam_size"], sampling["sampling_temperature"]) == (1, 0.4)


@pytest.mark.parametrize("n_frames", [1, 200, FULL_CONTEXT_FRAMES, FULL_CONTEXT_FRAMES + 1])
def test_features_are_padded_to_the_context(n_frames: int) -> None:
    features = np.linspace(-0.7, 1.0, 80 * n_frames, dtype=np.float32).reshape(80, n_frames)
    padded = pad_features(features, FULL_CONTEXT_FRAMES)
    assert padded.shape == (80, FULL_CONTEXT_FRAMES)
    assert padded.dtype == np.float32
    kept = min(n_frames, FULL_CONTEXT_FRAMES)
    assert np.array_equal(padded[:, :kept], features[:, :kept])
    silence = padded[:, kept : kept + FRAMES_PER_S]
    assert (silence == features.min()).all()
    assert not padded[:, kept + FRAMES_PER_S :].any()


@pytest.mark.parametrize("n_prefix", [0, 10, 100])
@pytest.mark.parametrize("limit", [5, 60, 400])
def test_the_library_is_given_room_for_the_prefix_and_the_whole_answer(
    n_prefix: int, limit: int
) -> None:
    prompt = make_prompt(TOKENIZER, prefix_text="y" * n_prefix, with_timestamps=True)
    max_length = prompt.max_length(limit)
    decoded = min(max_length // 2, max_length - len(prompt.tokens))
    control = len(prompt.tokens) - len(prompt.prefix)
    assert decoded >= min(len(prompt.prefix) + limit, MAX_TOKENS - control)
