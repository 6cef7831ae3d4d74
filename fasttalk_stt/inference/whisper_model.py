"""The Whisper model under WhisperX, as the few operations that decoding is made of.

The one file that touches the model library: features, encoder, language, decoder, alignment. It
blocks and decides nothing; `whisperx_backend` puts the operations together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fasttalk_stt.inference.answers import Language
from fasttalk_stt.inference.decoding import (
    MAX_TOKENS,
    DecodingOptions,
    Draft,
    Prompt,
    make_draft,
    make_prompt,
    pad_features,
)
from fasttalk_stt.inference.device import chosen_compute_type, chosen_device
from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodedWord, DecodeRequest
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.quiet import import_whisperx
from fasttalk_stt.inference.word_times import (
    LANGUAGES_WITHOUT_SPACES,
    TokenWord,
    join_pieces,
    merge_punctuation,
    timed_words,
)

Foreign = Any
"""CTranslate2's and faster-whisper's objects have no types."""

Features = npt.NDArray[np.float32]
"""A log-mel spectrogram, float32[n_mels, n_frames], a frame every 10 ms."""

_SHORTEST_SAMPLES = SAMPLE_RATE_HZ // 10
"""Shorter audio is padded with silence: a spectrogram needs a few windows."""

_ENGLISH = "en"


class WhisperModel:
    """A loaded model, for `seats` threads at once; raises whatever the library raises.

    `device` is "auto", "cpu" or "cuda"; `compute_type` is CTranslate2's, or "auto" for float16 on
    a GPU and int8 on a CPU. Each call computes on `cpu_threads`.
    """

    def __init__(
        self,
        model: ResolvedModel,
        *,
        device: str,
        compute_type: str,
        cpu_threads: int,
        seats: int,
    ) -> None:
        asr = import_whisperx()
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415
        from faster_whisper.transcribe import get_suppressed_tokens  # noqa: PLC0415

        device = chosen_device(device)
        self._whisper: Foreign = asr.WhisperModel(
            str(model.path),
            device=device,
            compute_type=chosen_compute_type(compute_type, device),
            cpu_threads=cpu_threads,
            num_workers=seats,
            local_files_only=True,
        )
        self._tokenizers: dict[str, Foreign] = {
            code: Tokenizer(
                self._whisper.hf_tokenizer,
                self.is_multilingual,
                task="transcribe",
                language=code,
            )
            for code in self._whisper.supported_languages
        }
        # The library's own choice of symbols that are never spoken (-1), and its special tokens.
        self._suppressed = list(get_suppressed_tokens(self._tokenizers[_ENGLISH], [-1]))

    @property
    def is_multilingual(self) -> bool:
        return bool(self._whisper.model.is_multilingual)

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes the model can be asked for."""
        return frozenset(self._tokenizers)

    def features(self, samples: npt.NDArray[np.float32]) -> Features:
        """The spectrogram of float32[n_samples]."""
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        if len(samples) < _SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, _SHORTEST_SAMPLES - len(samples)))
        features: Features = self._whisper.feature_extractor(samples)
        return features

    def encode(self, features: Sequence[Features], n_context_frames: int) -> Foreign:
        return self._whisper.encode(
            np.stack([pad_features(item, n_context_frames) for item in features])
        )

    def part(self, encoded: Foreign, row: int) -> Foreign:
        """The encoder's output for one of the requests."""
        return _take(encoded, [row])

    def told_language(self, request: DecodeRequest) -> Language | None:
        """The request's language, where it is not to be detected."""
        if not self.is_multilingual:
            return Language(_ENGLISH, 1.0)
        if request.language in self._tokenizers:
            return Language(request.language, 1.0)
        return None

    def find_languages(self, told: Sequence[Language | None], encoded: Foreign) -> list[Language]:
        """What each request is spoken in: told, or detected."""
        languages = list(told)
        unknown = [index for index, language in enumerate(languages) if language is None]
        if unknown:
            answers = self._whisper.model.detect_language(_take(encoded, unknown))
            for index, answer in zip(unknown, answers, strict=True):
                token, confidence = answer[0]
                languages[index] = Language(token.strip("<|>"), confidence)
        return [language for language in languages if language is not None]

    def prompt(
        self, request: DecodeRequest, language: Language, *, with_timestamps: bool
    ) -> Prompt:
        return make_prompt(
            self._tokenizers[language.code],
            vocabulary=request.vocabulary,
            prefix_text=request.prefix_text,
            with_timestamps=with_timestamps,
        )

    def draft(
        self,
        encoded: Foreign,
        languages: Sequence[Language],
        prompts: Sequence[Prompt],
        limits: Sequence[int],
        options: DecodingOptions,
    ) -> list[Draft]:
        """Decode all with one call for each length of vocabulary (see `Prompt.n_previous`).

        `limits` is the most new tokens of each.
        """
        drafts: dict[int, Draft] = {}
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            groups[prompt.n_previous].append(index)
        for rows in groups.values():
            answers = self._whisper.model.generate(
                _take(encoded, rows),
                [list(prompts[row].tokens) for row in rows],
                # The library has one limit for all.
                max_length=max(prompts[row].max_length(limits[row]) for row in rows),
                suppress_tokens=self._suppressed,
                **options.generate_arguments(),
            )
            for row, answer in zip(rows, answers, strict=True):
                drafts[row] = make_draft(
                    self._tokenizers[languages[row].code],
                    prompts[row],
                    answer.sequences_ids[0],
                    score=answer.scores[0],
                    no_speech_probability=answer.no_speech_prob,
                    limit=min(limits[row], MAX_TOKENS - len(prompts[row].tokens)),
                )
        return [drafts[index] for index in range(len(prompts))]

    def align(
        self,
        encoded: Foreign,
        languages: Sequence[Language],
        prompts: Sequence[Prompt],
        drafts: Sequence[Draft],
        n_frames: Sequence[int],
    ) -> list[tuple[DecodedWord, ...]]:
        """Words, punctuation joined, with raw times from cross-attention.

        One call for each language, which starts the sequence.
        """
        words: list[tuple[DecodedWord, ...]] = [() for _ in drafts]
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for index, draft in enumerate(drafts):
            if draft.tokens:
                groups[languages[index].code].append(index)
        for code, rows in groups.items():
            tokenizer = self._tokenizers[code]
            results = self._whisper.model.align(
                _take(encoded, rows),
                tokenizer.sot_sequence,
                [[*prompts[row].prefix, *drafts[row].tokens] for row in rows],
                [n_frames[row] for row in rows],
            )
            for row, result in zip(rows, results, strict=True):
                timed = timed_words(
                    _split(tokenizer, drafts[row].tokens),
                    result.alignments,
                    result.text_token_probs,
                    n_prefix_tokens=len(prompts[row].prefix),
                )
                words[row] = tuple(merge_punctuation(timed))
        return words


def _split(tokenizer: Foreign, tokens: Sequence[int]) -> list[TokenWord]:
    texts, token_groups = tokenizer.split_to_word_tokens(list(tokens))
    pieces = [
        TokenWord(text=text, n_tokens=len(group))
        for text, group in zip(texts, token_groups, strict=True)
    ]
    has_spaces = tokenizer.language_code not in LANGUAGES_WITHOUT_SPACES
    return join_pieces(pieces) if has_spaces else pieces


def _take(encoded: Foreign, rows: Sequence[int]) -> Foreign:
    """The encoder's output for some of the requests (a copy, unless it is for all)."""
    if len(rows) == encoded.shape[0]:
        return encoded
    from ctranslate2 import DataType, Device, StorageView  # noqa: PLC0415

    # By way of the host and float32, which numpy can index whatever the compute type is. It is
    # needed for mixed batches, and for the doubtful of a batch.
    on_host = encoded.to_device(Device.cpu) if encoded.device != "cpu" else encoded
    wide = on_host if on_host.dtype == DataType.float32 else on_host.to(DataType.float32)
    chosen = StorageView.from_array(np.ascontiguousarray(np.array(wide)[list(rows)]))
    return chosen if encoded.dtype == DataType.float32 else chosen.to(encoded.dtype)
