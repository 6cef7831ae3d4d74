"""WhisperX's model, driven request by request: features, encoder, decoder, word times.

The one file that touches the model library. It blocks and knows no event loop; `whisperx_engine`
runs it in a thread. Neither WhisperX's voice detection nor its pipeline is used: requests are cut
by our own endpointer, and each may have its own language, vocabulary and prefix. How the decoder is
asked stands in `decoding`, times in `word_times`.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from fasttalk_stt.inference.decoding import (
    FALLBACK_TEMPERATURES,
    FRAMES_PER_S,
    FULL_CONTEXT_FRAMES,
    MAX_TOKENS,
    DecodingOptions,
    Draft,
    Prompt,
    best_draft,
    context_frames,
    make_draft,
    make_prompt,
    pad_features,
)
from fasttalk_stt.inference.doubts import echoes, stops_short
from fasttalk_stt.inference.engine import (
    SAMPLE_RATE_HZ,
    DecodedWord,
    DecodeRequest,
    Hypothesis,
)
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.inference.foreign_errors import FOREIGN_ERRORS, translated
from fasttalk_stt.inference.loops import compression_ratio, find_repetition, token_limit
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.quiet import import_whisperx
from fasttalk_stt.inference.word_times import (
    LANGUAGES_WITHOUT_SPACES,
    TokenWord,
    join_pieces,
    merge_punctuation,
    regularise_word_times,
    timed_words,
)

LONGEST_S = 30.0
"""Whisper's window: no request may be longer."""

_SHORTEST_SAMPLES = SAMPLE_RATE_HZ // 10
"""Shorter audio is padded with silence: a spectrogram needs a few windows."""

_ENGLISH = "en"

# CTranslate2's and faster-whisper's objects have no types.
Foreign = Any


@frozen
class _Language:
    """What a request is taken to be spoken in, and how sure that is."""

    code: str
    confidence: float


class WhisperXBackend:
    """A Whisper model and how to ask it. Blocks; not for two threads at once.

    `device` is "auto", "cpu" or "cuda"; `compute_type` is CTranslate2's, or "auto" for float16 on
    a GPU and int8 on a CPU. `cpu_threads` 0 leaves the number to CTranslate2. `beam_size` None
    takes the default of `DecodingOptions`.
    """

    def __init__(
        self,
        model: ResolvedModel,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
        beam_size: int | None = None,
        with_timestamps: bool = False,
    ) -> None:
        self.model = model
        self._device = device
        self._compute_type = compute_type
        self._cpu_threads = cpu_threads
        options = DecodingOptions(with_timestamps=with_timestamps)
        self._options = options if beam_size is None else evolve(options, beam_size=beam_size)
        self._whisper: Foreign = None
        self._tokenizers: dict[str, Foreign] = {}
        self._suppressed: list[int] = []

    @property
    def supported_languages(self) -> frozenset[str]:
        """ISO 639-1 codes the model can be asked for; empty before `load`."""
        return frozenset(self._whisper.supported_languages) if self._whisper else frozenset()

    def load(self) -> None:
        """Load the weights and run one inference, so that the first request is no slower.

        Raises EngineError when the model does not work, GpuError when the GPU does not.
        """
        try:
            self._load()
            second_of_hum = np.sin(np.arange(SAMPLE_RATE_HZ, dtype=np.float32) / 20) * 0.1
            self._decode([DecodeRequest(samples=second_of_hum.astype(np.float32))])
        except FOREIGN_ERRORS as error:
            raise translated(error, f"loading the model {self.model.name}") from error

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode a batch; the results are in the order of the requests.

        A language the model lacks is not an error, so that no request fails its batch: an
        English-only model always hears English, another one detects instead (callers check
        `supported_languages` beforehand). Raises EngineError for a request beyond 30 s and
        whenever the model fails, GpuError and GpuMemoryExhaustedError where the GPU is to blame.
        """
        if self._whisper is None:
            raise EngineError("the model is not loaded: call load() first")
        for request in requests:
            if request.duration_s > LONGEST_S:
                raise EngineError(
                    f"a request holds {request.duration_s:.1f} s of audio, at most "
                    f"{LONGEST_S:.0f} s can be decoded at once: split it"
                )
        if not requests:
            return []
        try:
            return self._decode(requests)
        except FOREIGN_ERRORS as error:
            raise translated(error, "decoding") from error

    def _load(self) -> None:
        asr = import_whisperx()
        from ctranslate2 import get_cuda_device_count  # noqa: PLC0415
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415
        from faster_whisper.transcribe import get_suppressed_tokens  # noqa: PLC0415

        device = self._device
        if device == "auto":
            device = "cuda" if get_cuda_device_count() > 0 else "cpu"
        compute_type = self._compute_type
        if compute_type == "auto":
            compute_type = "float16" if device == "cuda" else "int8"
        whisper = asr.WhisperModel(
            str(self.model.path),
            device=device,
            compute_type=compute_type,
            cpu_threads=self._cpu_threads,
            local_files_only=True,
        )
        self._tokenizers = {
            code: Tokenizer(
                whisper.hf_tokenizer,
                whisper.model.is_multilingual,
                task="transcribe",
                language=code,
            )
            for code in whisper.supported_languages
        }
        # The library's own choice of symbols that are never spoken (-1), and its special tokens.
        self._suppressed = list(get_suppressed_tokens(self._tokenizers[_ENGLISH], [-1]))
        self._whisper = whisper

    def _decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        longest = max(request.duration_s for request in requests)
        n_context_frames = context_frames(math.ceil(longest * FRAMES_PER_S))
        if any(request.vocabulary for request in requests):
            # Seen with base: with less context it no longer heeds the names it is given.
            n_context_frames = FULL_CONTEXT_FRAMES
        hypotheses = self._attempt(requests, n_context_frames)
        return [
            self._second_look(request, hypothesis)
            for request, hypothesis in zip(requests, hypotheses, strict=True)
        ]

    def _second_look(self, request: DecodeRequest, first: Hypothesis) -> Hypothesis:
        """Decode a request again, alone, where the first answer cannot be all that was said."""
        if echoes(first.words, request.prefix_text):
            # People do repeat themselves. Without the prefix, only what is in the audio counts.
            skip = int(request.prefix_s * SAMPLE_RATE_HZ)
            alone = evolve(request, samples=request.samples[skip:], prefix_text="", prefix_s=0.0)
            [second] = self._attempt([alone], FULL_CONTEXT_FRAMES)
            second = second.shifted(skip / SAMPLE_RATE_HZ)
        elif stops_short(first.words, request):
            [second] = self._attempt([request], FULL_CONTEXT_FRAMES)
        else:
            return first
        return evolve(second, compute_ms=first.compute_ms + second.compute_ms)

    def _attempt(
        self, requests: Sequence[DecodeRequest], n_context_frames: int
    ) -> list[Hypothesis]:
        begun = time.perf_counter()
        features = [self._features(request) for request in requests]
        encoded = self._encode(features, n_context_frames)
        languages = self._languages(requests, encoded)
        prompts = [
            make_prompt(
                self._tokenizers[language.code],
                vocabulary=request.vocabulary,
                prefix_text=request.prefix_text,
                with_timestamps=self._options.with_timestamps,
            )
            for request, language in zip(requests, languages, strict=True)
        ]
        limits = [
            token_limit(request.new_s, language.code)
            for request, language in zip(requests, languages, strict=True)
        ]
        drafts = self._draft_all(encoded, languages, prompts, limits)
        shared_s = time.perf_counter() - begun
        own_s = [0.0] * len(requests)
        for index, draft in enumerate(drafts):
            if draft.is_doubtful:
                begun = time.perf_counter()
                drafts[index] = self._decode_again(
                    features[index], languages[index], prompts[index], limits[index], draft
                )
                own_s[index] = time.perf_counter() - begun
        begun = time.perf_counter()
        words = self._align_all(encoded, languages, prompts, drafts, [f.shape[1] for f in features])
        shared_s += time.perf_counter() - begun
        return [
            _hypothesis(
                request, language, draft, timed, 1000 * (shared_s / len(requests) + extra_s)
            )
            for request, language, draft, timed, extra_s in zip(
                requests, languages, drafts, words, own_s, strict=True
            )
        ]

    def _features(self, request: DecodeRequest) -> npt.NDArray[np.float32]:
        """The log-mel spectrogram, float32[n_mels, n_frames], a frame every 10 ms."""
        samples = np.ascontiguousarray(request.samples, dtype=np.float32)
        if len(samples) < _SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, _SHORTEST_SAMPLES - len(samples)))
        features: npt.NDArray[np.float32] = self._whisper.feature_extractor(samples)
        return features

    def _languages(self, requests: Sequence[DecodeRequest], encoded: Foreign) -> list[_Language]:
        """What each request is spoken in: told (confidence 1), or detected."""
        told = [self._told_language(request) for request in requests]
        unknown = [index for index, language in enumerate(told) if language is None]
        if unknown:
            answers = self._whisper.model.detect_language(_take(encoded, unknown))
            for index, answer in zip(unknown, answers, strict=True):
                token, confidence = answer[0]
                told[index] = _Language(token.strip("<|>"), confidence)
        return [language for language in told if language is not None]

    def _told_language(self, request: DecodeRequest) -> _Language | None:
        if not self._whisper.model.is_multilingual:
            return _Language(_ENGLISH, 1.0)
        if request.language in self._tokenizers:
            return _Language(request.language, 1.0)
        return None

    def _draft_all(
        self,
        encoded: Foreign,
        languages: Sequence[_Language],
        prompts: Sequence[Prompt],
        limits: Sequence[int],
    ) -> list[Draft]:
        """Decode all with one call for each length of vocabulary (see `Prompt.n_previous`)."""
        drafts: dict[int, Draft] = {}
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            groups[prompt.n_previous].append(index)
        for rows in groups.values():
            answers = self._draft(
                _take(encoded, rows),
                [languages[row] for row in rows],
                [prompts[row] for row in rows],
                [limits[row] for row in rows],
                self._options,
            )
            drafts.update(zip(rows, answers, strict=True))
        return [drafts[index] for index in range(len(prompts))]

    def _draft(
        self,
        encoded: Foreign,
        languages: Sequence[_Language],
        prompts: Sequence[Prompt],
        limits: Sequence[int],
        options: DecodingOptions,
    ) -> list[Draft]:
        # The library has one limit for all.
        longest = max(
            prompt.max_length(limit) for prompt, limit in zip(prompts, limits, strict=True)
        )
        answers = self._whisper.model.generate(
            encoded,
            [list(prompt.tokens) for prompt in prompts],
            max_length=longest,
            suppress_tokens=self._suppressed,
            **options.generate_arguments(),
        )
        return [
            make_draft(
                self._tokenizers[language.code],
                prompt,
                answer.sequences_ids[0],
                score=answer.scores[0],
                no_speech_probability=answer.no_speech_prob,
                limit=min(limit, MAX_TOKENS - len(prompt.tokens)),
            )
            for answer, language, prompt, limit in zip(
                answers, languages, prompts, limits, strict=True
            )
        ]

    def _decode_again(
        self,
        features: npt.NDArray[np.float32],
        language: _Language,
        prompt: Prompt,
        limit: int,
        first: Draft,
    ) -> Draft:
        """Try a doubtful request alone: with the full context, then at rising temperatures."""
        encoded = self._encode([features], FULL_CONTEXT_FRAMES)
        drafts = [first]
        for temperature in (0.0, *FALLBACK_TEMPERATURES):
            options = evolve(self._options, temperature=temperature)
            [draft] = self._draft(encoded, [language], [prompt], [limit], options)
            drafts.append(draft)
            if not draft.is_doubtful:
                return draft
        return best_draft(drafts)

    def _encode(
        self, features: Sequence[npt.NDArray[np.float32]], n_context_frames: int
    ) -> Foreign:
        return self._whisper.encode(
            np.stack([pad_features(item, n_context_frames) for item in features])
        )

    def _align_all(
        self,
        encoded: Foreign,
        languages: Sequence[_Language],
        prompts: Sequence[Prompt],
        drafts: Sequence[Draft],
        n_frames: Sequence[int],
    ) -> list[list[DecodedWord]]:
        """Word times from cross-attention, one call for each language (it starts the sequence)."""
        words: list[list[DecodedWord]] = [[] for _ in drafts]
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
                words[row] = timed_words(
                    _split(tokenizer, drafts[row].tokens),
                    result.alignments,
                    result.text_token_probs,
                    n_prefix_tokens=len(prompts[row].prefix),
                )
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
    # needed for mixed batches and second attempts alone.
    on_host = encoded.to_device(Device.cpu) if encoded.device != "cpu" else encoded
    wide = on_host if on_host.dtype == DataType.float32 else on_host.to(DataType.float32)
    chosen = StorageView.from_array(np.ascontiguousarray(np.array(wide)[list(rows)]))
    return chosen if encoded.dtype == DataType.float32 else chosen.to(encoded.dtype)


def _hypothesis(
    request: DecodeRequest,
    language: _Language,
    draft: Draft,
    timed: Sequence[DecodedWord],
    compute_ms: float,
) -> Hypothesis:
    words = merge_punctuation(timed)
    if draft.is_looped:
        cut = find_repetition([word.text for word in words])
        words = words[:cut] if cut is not None else []
    if request.prefix_text:
        # Punctuation that closes the prefix comes too late to be joined to it.
        while words and not any(character.isalnum() for character in words[0].text):
            del words[0]
    return Hypothesis(
        words=tuple(regularise_word_times(words, request.duration_s))
        if len(request.samples)
        else (),
        language=language.code,
        language_confidence=language.confidence,
        no_speech_probability=draft.no_speech_probability,
        average_log_probability=draft.average_log_probability,
        compression_ratio=compression_ratio("".join(word.text for word in words).strip()),
        compute_ms=compute_ms,
    )
