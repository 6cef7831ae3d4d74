"""What one utterance costs: our engine with each lever on and off, beside WhisperX and faster-whisper
as they come. All in one process, on the same recordings, one call at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.models import ResolvedModel, resolve_model
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from tools.hearing.audio import Audio
from tools.hearing.mixtures import Source
from tools.hearing.statistics import percentiles
from tools.scoring import total_errors, word_errors

Transcribe = Callable[[Audio], str]

BATCHES = (1, 2, 4, 8, 16, 32, 64)
BATCH_S = 3.0


def compare(
    clips: Sequence[tuple[Audio, str]], model: str, *, device: str, threads: int
) -> list[dict[str, Any]]:
    """Time and word errors of each way to transcribe these clips and references, one after another."""
    resolved = resolve_model(model, device=device)
    rows: list[dict[str, Any]] = []
    for name, make in _ways(resolved, device, threads).items():
        try:
            transcribe = make()
        except ImportError as error:
            rows.append({"way": name, "missing": str(error)})
            continue
        transcribe(clips[0][0])
        times_ms, errors = [], []
        for samples, reference in clips:
            began_s = time.perf_counter()
            text = transcribe(samples)
            times_ms.append(1000 * (time.perf_counter() - began_s))
            errors.append(word_errors(reference, text))
        rows.append(
            {
                "way": name,
                "ms": percentiles(times_ms, 50, 95),
                "wer": round(total_errors(errors).wer, 4),
            }
        )
    return rows


def batch_costs(
    clips: Sequence[Audio], model: str, *, device: str, threads: int, most: int
) -> list[dict[str, float]]:
    """Milliseconds a segment of 3 s costs in a batch of so many, words timed."""
    backend = _backend(resolve_model(model, device=device), device, threads)
    length = int(BATCH_S * 16_000)
    segments = [clip[:length] for clip in clips if len(clip) >= length]
    rows = []
    for size in (size for size in BATCHES if size <= most):
        requests = [
            DecodeRequest(samples=segments[i % len(segments)], language="en") for i in range(size)
        ]
        times_ms = []
        for _ in range(5):
            began_s = time.perf_counter()
            backend.decode(requests)
            times_ms.append(1000 * (time.perf_counter() - began_s))
        rows.append({"batch": size, "ms_per_segment": round(float(np.median(times_ms)) / size, 1)})
    return rows


def _ways(
    model: ResolvedModel, device: str, threads: int
) -> Mapping[str, Callable[[], Transcribe]]:
    def ours(**options: Any) -> Transcribe:
        backend = _backend(model, device, threads, **options)

        def transcribe(samples: Audio) -> str:
            [hypothesis] = backend.decode([DecodeRequest(samples=samples, language="en")])
            return hypothesis.text

        return transcribe

    return {
        "ours": ours,
        "ours, full context": partial(ours, audio_context="full"),
        "ours, one beam": partial(ours, beam_size=1),
        "faster-whisper": partial(_faster_whisper, model, device, threads, word_times=False),
        "faster-whisper, word times": partial(
            _faster_whisper, model, device, threads, word_times=True
        ),
        "whisperx": partial(_whisperx, model, device, threads),
    }


def _backend(model: ResolvedModel, device: str, threads: int, **options: Any) -> WhisperXBackend:
    backend = WhisperXBackend(model, device=device, cpu_threads=threads, **options)
    backend.load()
    return backend


def _faster_whisper(
    model: ResolvedModel, device: str, threads: int, *, word_times: bool
) -> Transcribe:
    """As its users call it: the window of 30 s, beam 5, fall-back temperatures."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(
        str(model.path), device=device, compute_type=_compute_type(device), cpu_threads=threads
    )

    def transcribe(samples: Audio) -> str:
        segments, _ = whisper.transcribe(samples, language="en", word_timestamps=word_times)
        return "".join(segment.text for segment in segments)

    return transcribe


def whole_transcriber(model: str, device: str) -> Callable[[Source], str]:
    """faster-whisper over whole recordings, as its users call it."""
    transcribe = _faster_whisper(resolve_model(model, device=device), device, 0, word_times=False)
    return lambda source: transcribe(source.samples)


def _whisperx(model: ResolvedModel, device: str, threads: int) -> Transcribe:
    """Its pipeline with its own voice detection, without alignment, one utterance at a time."""
    import whisperx

    pipeline = whisperx.load_model(
        str(model.path),
        "cuda" if device == "cuda" else "cpu",
        compute_type=_compute_type(device),
        language="en",
        threads=threads,
    )

    def transcribe(samples: Audio) -> str:
        result = pipeline.transcribe(samples, batch_size=1)
        return " ".join(segment["text"].strip() for segment in result["segments"])

    return transcribe


def _compute_type(device: str) -> str:
    return "float16" if device == "cuda" else "int8"
