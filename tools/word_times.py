"""How far word times are from labels made by hand: `python -m tools.word_times --corpus DIRECTORY`.

The engine transcribes each recording with checked labels, with the decoder's attention and with the
aligner, and the words that it heard as they were said are compared with the labels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from fasttalk_stt.inference.aligning.ctc import CtcAligner
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from tools.hearing.mixtures import Source, has_checked_words, read_sources
from tools.hearing.statistics import percentiles
from tools.scoring import read_manifest


def measure(sources: Sequence[Source], model: str) -> dict[str, Any]:
    """Errors of starts and ends in milliseconds, absolute, for each aligner."""
    report: dict[str, Any] = {"model": model, "recordings": len(sources)}
    for name, aligner in (("attention", None), ("ctc", CtcAligner())):
        backend = WhisperXBackend(resolve_model(model), aligner=aligner)
        backend.load()
        starts: list[float] = []
        ends: list[float] = []
        untimed = 0
        for source in sources:
            [hypothesis] = backend.decode([DecodeRequest(samples=source.samples, language="en")])
            untimed += sum(not word.end_s > word.start_s for word in hypothesis.words)
            for label, word in matched(source.entry.fields["words"], hypothesis.words):
                starts.append(abs(1000 * word.start_s - label["start_ms"]))
                ends.append(abs(1000 * word.end_s - label["end_ms"]))
        report[name] = {
            "start_ms": percentiles(starts, 50, 95),
            "end_ms": percentiles(ends, 50, 95),
            "words_without_times": untimed,
        }
    return report


def matched(
    labels: Sequence[dict[str, Any]], words: Sequence[DecodedWord]
) -> list[tuple[dict[str, Any], DecodedWord]]:
    """The labelled words that were heard, each with what was heard."""
    said = [_plain(label["word"]) for label in labels]
    heard = [_plain(word.text) for word in words]
    if not said or not heard:
        return []
    alignment = jiwer.process_words([" ".join(said)], [" ".join(heard)]).alignments[0]
    return [
        (labels[chunk.ref_start_idx + i], words[chunk.hyp_start_idx + i])
        for chunk in alignment
        if chunk.type == "equal"
        for i in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


def _plain(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum() or c == "'") or "-"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.word_times", description=__doc__)
    corpus = os.environ.get("SPEECH_CORPUS") or None
    parser.add_argument("--corpus", type=Path, default=corpus, help="default: SPEECH_CORPUS")
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    if args.corpus is None:
        print("no corpus: set SPEECH_CORPUS, or give --corpus DIRECTORY", file=sys.stderr)
        return 2
    try:
        entries = filter(has_checked_words, read_manifest(args.corpus))
        report = measure(read_sources(entries), args.model)
    except (OSError, ValueError, EngineError) as error:
        print(f"word_times: {error}", file=sys.stderr)
        return 1
    for name in ("attention", "ctc"):
        figures = report[name]
        start, end = figures["start_ms"], figures["end_ms"]
        print(
            f"{name:10} start p50 {np.round(start['p50'])} p95 {np.round(start['p95'])} ms, end p50 "
            f"{np.round(end['p50'])} p95 {np.round(end['p95'])} ms ({start['count']} words, "
            f"{figures['words_without_times']} without times)"
        )
    if args.json:
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
