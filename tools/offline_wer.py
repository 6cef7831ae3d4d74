"""Offline word error rate over the English speech of a corpus: the yardstick for streaming.

    python -m tools.offline_wer --model base --corpus DIRECTORY --json base.json

`--engine faster-whisper` is that library's own transcription with its defaults (beam 5,
temperature fall-back, no VAD) over each whole file; `--engine ours` decodes each file of at most
30 s as one request, so both can be compared. Give both to score the same files in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodeRequest
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from tools.scoring import (
    CorpusEntry,
    WordErrors,
    english_speech,
    read_manifest,
    total_errors,
    word_errors,
)

Audio = npt.NDArray[np.float32]
Transcriber = Callable[[Audio], str]

LONGEST_S = 30.0
"""What our engine takes in one request."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if options.corpus is None:
        print("no corpus: give --corpus DIRECTORY or set SPEECH_CORPUS", file=sys.stderr)
        return 2
    entries = english_speech(read_manifest(options.corpus))
    if "ours" in options.engine:
        entries = [entry for entry in entries if entry.seconds <= LONGEST_S]
    entries = entries[: options.limit]
    report: dict[str, Any] = {"model": options.model, "threads": options.threads, "engines": {}}
    for engine in options.engine:
        transcribe = _transcriber(engine, options.model, options.threads, options.beam)
        result = measure(entries, transcribe)
        report["engines"][engine] = result
        print(
            f"{engine} {options.model}: WER {100 * result['wer']:.2f} % "
            f"({result['substitutions']} substituted, {result['deletions']} deleted, "
            f"{result['insertions']} inserted of {result['reference_words']} words), "
            f"{len(entries)} files, {result['audio_s']:.0f} s of audio in {result['wall_s']:.0f} s"
        )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    return 0


def measure(entries: Sequence[CorpusEntry], transcribe: Transcriber) -> dict[str, Any]:
    """Transcribe and score each entry; times include reading no file."""
    files = []
    scores: list[WordErrors] = []
    wall_s = 0.0
    for entry in entries:
        samples, rate_hz = soundfile.read(entry.path, dtype="float32")
        if rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"{entry.path}: {rate_hz} Hz, expected {SAMPLE_RATE_HZ}")
        begun = time.perf_counter()
        text = transcribe(samples)
        spent_s = time.perf_counter() - begun
        wall_s += spent_s
        score = word_errors(entry.text or "", text)
        scores.append(score)
        files.append(
            {
                "id": entry.id,
                "reference": entry.text,
                "hypothesis": text,
                "wer": round(score.wer, 4),
                "errors": score.errors,
                "seconds": entry.seconds,
                "wall_s": round(spent_s, 3),
            }
        )
    total = total_errors(scores)
    return {
        "wer": total.wer,
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
        "reference_words": total.reference_words,
        "audio_s": sum(entry.seconds for entry in entries),
        "wall_s": wall_s,
        "files": files,
    }


def _transcriber(engine: str, model: str, threads: int, beam: int | None) -> Transcriber:
    resolved = resolve_model(model)
    if engine == "faster-whisper":
        from faster_whisper import WhisperModel

        whisper = WhisperModel(
            str(resolved.path), device="auto", compute_type="int8", cpu_threads=threads
        )

        def transcribe_whole(samples: Audio) -> str:
            segments, _ = whisper.transcribe(samples, language="en")
            return "".join(segment.text for segment in segments).strip()

        return transcribe_whole

    backend = WhisperXBackend(resolved, cpu_threads=threads, beam_size=beam)
    backend.load()

    def transcribe_once(samples: Audio) -> str:
        return backend.decode([DecodeRequest(samples=samples, language="en")])[0].text

    return transcribe_once


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.offline_wer", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--model", default="auto", help="a model's name or directory")
    parser.add_argument(
        "--corpus",
        type=Path,
        default=os.environ.get("SPEECH_CORPUS"),
        help="a directory with manifest.jsonl (default: SPEECH_CORPUS)",
    )
    parser.add_argument(
        "--engine",
        nargs="+",
        choices=("faster-whisper", "ours"),
        default=["faster-whisper"],
        help="with 'ours', files beyond 30 s are left out for both",
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--beam", type=int, default=None, help="beam of our engine")
    parser.add_argument("--limit", type=int, default=None, help="only the first N files")
    parser.add_argument("--json", type=Path, default=None, help="write hypotheses and scores here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
