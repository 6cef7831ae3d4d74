"""How the decoder is asked and how its answer is read: prompts, options, drafts, padding.

Pure: tokens in, tokens out. `whisper_model` runs the model with what is laid out here, `attempts`
decides with how much context and how wide a search, `loops` holds the signs of a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.inference.loops import is_loop

FRAMES_PER_S = 100

FULL_CONTEXT_FRAMES = 3000
"""The 30 s Whisper was trained on, in mel frames of 10 ms."""

_SILENT_PADDING_FRAMES = FRAMES_PER_S

MAX_TOKENS = 448
"""Whisper's text context: prompt and answer together."""

_MAX_PROMPT_TOKENS = 128
"""Of vocabulary and of prefix each, so that more than 180 tokens are left for the answer: enough for
26 s of hurried English, and for 8 s of a script that needs several tokens a character."""
_MAX_INITIAL_TIMESTAMP = 50  # 1 s in steps of 20 ms, as in Whisper

LOW_LOG_PROBABILITY = -1.0
NO_SPEECH_PROBABILITY = 0.6
"""Both from Whisper: an answer worse than the first is doubted, unless the second says that
nothing was said."""


@frozen
class DecodingOptions:
    """How one call to the decoder searches.

    `temperature` 0 searches with a beam of `beam_size` (1: greedy); above 0 it samples `best_of`
    answers and takes the likeliest. `with_timestamps` lets the decoder write time stamps among the
    words; it then ends at a long pause, which loses the rest of a long request.
    """

    beam_size: int = 5
    temperature: float = 0.0
    best_of: int = 5
    with_timestamps: bool = False

    def generate_arguments(self) -> dict[str, Any]:
        """The keyword arguments of CTranslate2's `Whisper.generate` that follow from this."""
        common: dict[str, Any] = {
            "return_scores": True,
            "return_no_speech_prob": True,
            "suppress_blank": True,
            "max_initial_timestamp_index": _MAX_INITIAL_TIMESTAMP,
        }
        if self.temperature > 0:
            return common | {
                "beam_size": 1,
                "num_hypotheses": self.best_of,
                "sampling_topk": 0,
                "sampling_temperature": self.temperature,
            }
        return common | {"beam_size": self.beam_size}


class Tokenizer(Protocol):
    """The part of faster-whisper's tokenizer that is used here."""

    sot_prev: int
    sot_sequence: list[int]
    no_timestamps: int
    timestamp_begin: int
    eot: int

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: list[int]) -> str: ...


@frozen
class Prompt:
    """What the decoder is told before it answers.

    `tokens` is all of it; `n_previous` of them stand before the start of the transcript (the
    library wants that number equal within a call); `prefix` are the tokens of the text that the
    answer goes on from.
    """

    tokens: tuple[int, ...]
    n_previous: int
    prefix: tuple[int, ...]

    def max_length(self, limit: int) -> int:
        """What CTranslate2's `max_length` must be for an answer of up to `limit` new tokens.

        The library decodes at most min(max_length / 2, max_length - prompt) tokens and counts the
        prefix among them (CTranslate2 4.8, `Whisper::generate`), so a sum of prompt and limit would
        stop an answer behind a long prefix in the middle of a word.
        """
        room = MAX_TOKENS - (len(self.tokens) - len(self.prefix))
        wanted = min(len(self.prefix) + limit, room)
        return max(2 * wanted, wanted + len(self.tokens))


def make_prompt(
    tokenizer: Tokenizer,
    *,
    vocabulary: Sequence[str] = (),
    prefix_text: str = "",
    with_timestamps: bool,
) -> Prompt:
    """The prompt for one request, laid out as Whisper was trained."""
    previous: list[int] = []
    hotwords = ", ".join(term.strip() for term in vocabulary if term.strip())
    if hotwords:
        previous = [tokenizer.sot_prev, *tokenizer.encode(" " + hotwords)[:_MAX_PROMPT_TOKENS]]
    prefix: list[int] = []
    if prefix_text.strip():
        # The latest words matter most, should there ever be too many.
        prefix = tokenizer.encode(" " + prefix_text.strip())[-_MAX_PROMPT_TOKENS:]
    start = list(tokenizer.sot_sequence)
    if not with_timestamps:
        start.append(tokenizer.no_timestamps)
    elif prefix:
        start.append(tokenizer.timestamp_begin)
    return Prompt(
        tokens=(*previous, *start, *prefix), n_previous=len(previous), prefix=tuple(prefix)
    )


@frozen
class Draft:
    """One answer of the decoder.

    `tokens` are those of the text alone, without time stamps or a broken character at the end.
    `hit_limit` says that it was stopped for its length.
    """

    tokens: tuple[int, ...]
    text: str
    average_log_probability: float
    no_speech_probability: float
    hit_limit: bool

    @property
    def says_nothing_was_said(self) -> bool:
        return (
            self.no_speech_probability > NO_SPEECH_PROBABILITY
            and self.average_log_probability < LOW_LOG_PROBABILITY
        )

    @property
    def is_looped(self) -> bool:
        return self.hit_limit or is_loop(self.text)


def make_draft(
    tokenizer: Tokenizer,
    prompt: Prompt,
    tokens: Sequence[int],
    *,
    score: float,
    no_speech_probability: float,
    limit: int,
) -> Draft:
    """Read the decoder's answer, which repeats the prompt's prefix.

    `score` is the log probability it returned, as a mean over the tokens with the prefix.
    """
    text_tokens = [token for token in tokens if token < tokenizer.eot]
    n_prefix = len(prompt.prefix)
    if tuple(text_tokens[:n_prefix]) == prompt.prefix:
        del text_tokens[:n_prefix]
    n_new = max(len(tokens) - n_prefix, 0)
    # A stop inside a multi-byte character leaves bytes that are no text.
    while text_tokens and tokenizer.decode(text_tokens).endswith("\ufffd"):
        text_tokens.pop()
    return Draft(
        tokens=tuple(text_tokens),
        text=tokenizer.decode(text_tokens).strip(),
        # The prefix is certain, and the end token is left out of the length.
        average_log_probability=score * len(tokens) / (n_new + 1),
        no_speech_probability=no_speech_probability,
        hit_limit=n_new >= limit,
    )


def pad_features(features: npt.NDArray[np.float32], context_frames: int) -> npt.NDArray[np.float32]:
    """Pad or cut float32[n_mels, n_frames] to the context the encoder is given.

    A second of silence as the spectrogram has it, its least value, then zeros as in faster-whisper; 3000
    frames are what Whisper was trained on. Our segments end where the voice does, and zeros, which are a
    loud hiss, spoil the last word: with zeros alone 52 streamed recordings have 15.1 % of words wrong, with
    half a second of silence before them 14.8, with a second 13.6, with silence alone 13.7 and three
    times as many loops (tiny.en).
    """
    n_mels, n_frames = features.shape
    padded = np.zeros((n_mels, context_frames), dtype=np.float32)
    kept = min(n_frames, context_frames)
    padded[:, :kept] = features[:, :kept]
    if kept:
        padded[:, kept : kept + _SILENT_PADDING_FRAMES] = features.min()
    return padded
