"""A Whisper model, asked request by request: attempt, doubt, next attempt, hypothesis.

It blocks and knows no event loop; `whisperx_engine` runs it in a thread. Neither WhisperX's voice
detection nor its pipeline is used: requests are cut by our own endpointer, and each may have its
own language, vocabulary and prefix. The model's operations are in `whisper_model`; how often it is
asked is decided in `attempts`, by the `doubts` about its `answers`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from attrs import evolve, frozen

from fasttalk_stt.inference.aligning.realign import WordAligner, realigned
from fasttalk_stt.inference.aligning.spans import LogProbs
from fasttalk_stt.inference.answers import Answer, Language, best_answer, to_hypothesis
from fasttalk_stt.inference.attempts import Attempt, AudioContext, make_ladder
from fasttalk_stt.inference.doubts import Doubt, find_doubt
from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError, NobodyWaitsError
from fasttalk_stt.inference.foreign_errors import FOREIGN_ERRORS, translated
from fasttalk_stt.inference.loops import token_limit
from fasttalk_stt.inference.models import ResolvedModel
from fasttalk_stt.inference.seats import best_batch, count_seats, threads_per_seat
from fasttalk_stt.inference.whisper_model import Foreign, WhisperModel

LONGEST_S = 30.0
"""Whisper's window: no request may be longer."""

ALIGNER_THREADS = 4
"""As many requests an aligner hears at a time. A processor's seats have one each."""

_WARM_UP_S = (1, 3)
"""Each seat is warmed up with one request of each length, in seconds."""


class WhisperXBackend:
    """A Whisper model and how to ask it. Blocks; for `seats` threads at once, after `load`.

    `device` is "auto", "cpu" or "cuda"; `compute_type` is CTranslate2's, or "auto" for float16 on
    a GPU and int8 on a CPU. `cpu_threads` is for one call; 0 shares the cores out over the seats.
    `beam_size` None takes the beams of `attempts`, a number gives every attempt that beam. `aligner` gives
    words the times of which the decoder is not sure; where it cannot, they keep the decoder's.
    """

    def __init__(
        self,
        model: ResolvedModel,
        *,
        device: str = "auto",
        compute_type: str = "auto",
        cpu_threads: int = 0,
        beam_size: int | None = None,
        audio_context: AudioContext = "auto",
        aligner: WordAligner | None = None,
    ) -> None:
        self.model = model
        self._device = device
        self._compute_type = compute_type
        self._cpu_threads = cpu_threads
        self.seats = count_seats(device, cpu_threads)
        self.batch_size = best_batch(device)
        self.request_s = 0.0
        self._ladder = make_ladder(beam_size=beam_size, audio_context=audio_context)
        self._aligner = aligner
        # It hears while the decoder writes: it needs the audio alone.
        self._ears = ThreadPoolExecutor(ALIGNER_THREADS, thread_name_prefix="aligner")
        self._whisper: WhisperModel | None = None

    @property
    def supported_languages(self) -> frozenset[str]:
        """ISO 639-1 codes the model can be asked for; empty before `load`."""
        return self._whisper.languages if self._whisper else frozenset()

    def load(self) -> None:
        """Load the weights and run some inference, so that the first request is no slower.

        Raises EngineError when the model does not work, GpuError when the GPU does not.
        """
        try:
            whisper = WhisperModel(
                self.model,
                device=self._device,
                compute_type=self._compute_type,
                cpu_threads=self._cpu_threads or threads_per_seat(self.seats),
                seats=self.seats,
            )
            if self._aligner is not None:
                self._aligner.load()
            hums = [_hum(seconds) for seconds in _WARM_UP_S for _ in range(self.seats)]
            with ThreadPoolExecutor(self.seats) as pool:
                list(pool.map(lambda hum: self._decode(whisper, [hum]), hums))
            begun_s = time.perf_counter()
            self._decode(whisper, hums[-1:])
            self.request_s = time.perf_counter() - begun_s
        except FOREIGN_ERRORS as error:
            raise translated(error, f"loading the model {self.model.name}") from error
        self._whisper = whisper

    def unload(self) -> None:
        """Let go of the model; `load` brings it back."""
        self._whisper = None

    def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Decode a batch; the results are in the order of the requests.

        A language the model lacks is not an error, so that no request fails its batch: an
        English-only model always hears English, another one detects instead (callers check
        `supported_languages` beforehand). Raises EngineError for a request beyond 30 s and
        whenever the model fails, GpuError and GpuMemoryExhaustedError where the GPU is to blame,
        NobodyWaitsError once all interest is lost.
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
            return self._decode(self._whisper, requests)
        except FOREIGN_ERRORS as error:
            raise translated(error, "decoding") from error

    def _decode(self, whisper: WhisperModel, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        told = [whisper.told_language(request) for request in requests]
        ears = [self._listen(*each) for each in zip(requests, told, strict=True)]
        try:
            return self._hear(whisper, requests, told, ears)
        finally:
            for listening in ears:
                if listening is not None:
                    listening.cancel()

    def _hear(
        self,
        whisper: WhisperModel,
        requests: Sequence[DecodeRequest],
        told: Sequence[Language | None],
        ears: Sequence[Future[_Listened] | None],
    ) -> list[Hypothesis]:
        attempt = self._ladder.first(
            requests, language_is_told=all(language is not None for language in told)
        )
        encoding = _encode(whisper, requests, attempt)
        firsts = self._ask(whisper, requests, told, attempt, encoding)
        hypotheses = []
        for row, (request, first, listening) in enumerate(zip(requests, firsts, ears, strict=True)):
            answers = [first]
            if first.doubt is not None:
                answers += self._ask_on(whisper, request, attempt, first, (encoding, row))
            compute_ms = sum(answer.compute_ms for answer in answers)
            hypothesis = to_hypothesis(request, best_answer(answers), compute_ms)
            hypotheses.append(self._with_exact_times(request, hypothesis, listening))
        return hypotheses

    def _listen(
        self, request: DecodeRequest, language: Language | None
    ) -> Future[_Listened] | None:
        """Begin to hear where the words of a request are, where that will be wanted."""
        aligner = self._aligner
        if aligner is None or request.provisional or request.interest.is_lost:
            return None
        if language is None or language.code not in aligner.languages:
            return None
        return self._ears.submit(_listened, aligner, request)

    def _with_exact_times(
        self, request: DecodeRequest, hypothesis: Hypothesis, listening: Future[_Listened] | None
    ) -> Hypothesis:
        aligner = self._aligner
        if aligner is None or request.provisional or request.interest.is_lost:
            return hypothesis
        if not hypothesis.words or hypothesis.language not in aligner.languages:
            return hypothesis
        # A language that had to be detected is listened for only now.
        heard, listened_ms = (
            _listened(aligner, request) if listening is None else listening.result()
        )
        begun_s = time.perf_counter()
        aligned = realigned(request, hypothesis, aligner, heard)
        took_ms = 1000 * (time.perf_counter() - begun_s) + listened_ms
        return evolve(aligned, compute_ms=hypothesis.compute_ms + took_ms, alignment_ms=took_ms)

    def _ask_on(
        self,
        whisper: WhisperModel,
        request: DecodeRequest,
        attempt: Attempt,
        first: Answer,
        place: tuple[_Encoding, int],
    ) -> list[Answer]:
        """Ask again, for this request alone, as long as there is a doubt and something left to try.

        `place` is the request's encoding with its batch, and its row there. Returns the answers that
        followed the first.
        """
        answers: list[Answer] = []
        skipped_s = 0.0
        doubt = first.doubt
        is_spent = False
        encoding: _Encoding | None = None
        while doubt is not None and not request.interest.is_lost:
            following = self._ladder.after(attempt, doubt, request, is_spent=is_spent)
            if following is None:
                break
            is_spent = is_spent or doubt is not Doubt.LOOP
            if doubt is Doubt.ECHO:
                # People do repeat themselves. Without the prefix, only what is in the audio counts.
                skip = int(request.prefix_s * SAMPLE_RATE_HZ)
                skipped_s = skip / SAMPLE_RATE_HZ
                request = evolve(
                    request, samples=request.samples[skip:], prefix_text="", prefix_s=0.0
                )
            if doubt is Doubt.ECHO or not following.sees_as_much_as(attempt):
                encoding = _encode(whisper, [request], following)
            elif encoding is None:
                encoding = place[0].of(place[1], whisper)
            attempt = following
            try:
                [answer] = self._ask(whisper, [request], [first.language], attempt, encoding)
            except NobodyWaitsError:
                # For this request; others of its batch may be waited for.
                break
            answers.append(answer.shifted(skipped_s))
            doubt = answer.doubt
            encoding = encoding.paid()
        return answers

    def _ask(
        self,
        whisper: WhisperModel,
        requests: Sequence[DecodeRequest],
        told: Sequence[Language | None],
        attempt: Attempt,
        encoding: _Encoding,
    ) -> list[Answer]:
        _stop_if_nobody_waits(requests)
        begun_s = time.perf_counter()
        options, encoded = attempt.options, encoding.encoded
        languages = whisper.find_languages(told, encoded)
        prompts = [
            whisper.prompt(request, language, with_timestamps=options.with_timestamps)
            for request, language in zip(requests, languages, strict=True)
        ]
        limits = [
            token_limit(request.new_s, language.code, is_tight=attempt.is_tight)
            for request, language in zip(requests, languages, strict=True)
        ]
        drafts = whisper.draft(encoded, languages, prompts, limits, options)
        _stop_if_nobody_waits(requests)
        words = whisper.align(encoded, languages, prompts, drafts, encoding.n_frames)
        share_ms = 1000 * (time.perf_counter() - begun_s) / len(requests)
        return [
            Answer(
                draft=draft,
                words=timed,
                language=language,
                doubt=find_doubt(
                    draft, timed, request, is_close=attempt in self._ladder.little_context
                ),
                compute_ms=share_ms + encoding.compute_ms,
            )
            for request, language, draft, timed in zip(
                requests, languages, drafts, words, strict=True
            )
        ]


_Listened = tuple[LogProbs, float]
"""What an aligner heard, and the milliseconds it took."""


def _listened(aligner: WordAligner, request: DecodeRequest) -> _Listened:
    begun_s = time.perf_counter()
    heard = aligner.listen(request.samples)
    return heard, 1000 * (time.perf_counter() - begun_s)


@frozen
class _Encoding:
    """What the encoder made of requests: of how many frames each, and for how many ms of work each."""

    encoded: Foreign
    n_frames: tuple[int, ...]
    compute_ms: float

    def of(self, row: int, whisper: WhisperModel) -> _Encoding:
        """That of one request, for which its first answer has paid."""
        return _Encoding(whisper.part(self.encoded, row), self.n_frames[row : row + 1], 0.0)

    def paid(self) -> _Encoding:
        return evolve(self, compute_ms=0.0)


def _encode(
    whisper: WhisperModel, requests: Sequence[DecodeRequest], attempt: Attempt
) -> _Encoding:
    begun_s = time.perf_counter()
    features = [whisper.features(request.samples) for request in requests]
    n_frames = tuple(item.shape[1] for item in features)
    encoded = whisper.encode(features, attempt.context_frames(max(n_frames)))
    return _Encoding(encoded, n_frames, 1000 * (time.perf_counter() - begun_s) / len(requests))


def _stop_if_nobody_waits(requests: Sequence[DecodeRequest]) -> None:
    if all(request.interest.is_lost for request in requests):
        raise NobodyWaitsError("nobody waits for these answers any more")


def _hum(seconds: int) -> DecodeRequest:
    tone = np.sin(np.arange(seconds * SAMPLE_RATE_HZ, dtype=np.float32) / 20) * 0.1
    return DecodeRequest(samples=tone.astype(np.float32))
