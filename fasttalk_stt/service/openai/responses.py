"""A finished transcript in OpenAI's formats, and its events while it grows. Pure."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from fasttalk_stt.service.openai.form import TranscriptionRequest
from fasttalk_stt.service.openai.languages import LANGUAGE_NAMES
from fasttalk_stt.transcripts.subtitles import as_srt, as_vtt, cues
from fasttalk_stt.transcripts.transcript import Segment, Transcript, Word

LEAST_CONFIDENCE = 1e-6
"""Of a word, for its logarithm."""

END_OF_STREAM = "data: [DONE]\n\n"


def render(transcript: Transcript, request: TranscriptionRequest) -> tuple[str, str]:
    """The answer's body and its media type."""
    match request.response_format:
        case "json":
            return _json({"text": full_text(transcript), "usage": _usage(transcript)})
        case "verbose_json":
            return _json(_verbose(transcript, request))
        case "srt":
            return as_srt(cues(transcript.segments)), "text/plain"
        case "vtt":
            return as_vtt(cues(transcript.segments)), "text/plain"
    return full_text(transcript) + "\n", "text/plain"


def full_text(transcript: Transcript) -> str:
    return "".join(delta for delta in deltas(transcript.segments))


def deltas(segments: Iterable[Segment]) -> Iterable[str]:
    """What each segment adds to the text."""
    for number, segment in enumerate(segments):
        yield delta(segment, is_first=number == 0)


def delta(segment: Segment, *, is_first: bool) -> str:
    return segment.text if is_first else f" {segment.text}"


def delta_event(text: str) -> str:
    """The event for text that has become final."""
    return _event({"type": "transcript.text.delta", "delta": text})


def done_event(transcript: Transcript) -> str:
    """The event for all of the text, the last but `END_OF_STREAM`."""
    return _event({"type": "transcript.text.done", "text": full_text(transcript)})


def error_event(body: Mapping[str, Any]) -> str:
    """The event that ends a stream which failed; clients raise what it says."""
    return _event(body)


def model_object(model: str, created_at_s: int) -> dict[str, Any]:
    """A model as the list of models has it."""
    return {"id": model, "object": "model", "created": created_at_s, "owned_by": "fasttalk-stt"}


def _verbose(transcript: Transcript, request: TranscriptionRequest) -> dict[str, Any]:
    language = transcript.language or request.wishes.language or "en"
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": LANGUAGE_NAMES.get(language, language),
        "duration": _seconds(transcript.duration_ms),
        "text": full_text(transcript),
        "usage": _usage(transcript),
    }
    if "segment" in request.granularities:
        body["segments"] = [
            _segment(number, segment) for number, segment in enumerate(transcript.segments)
        ]
    if "word" in request.granularities:
        body["words"] = [
            {"word": word.text, "start": _seconds(word.start_ms), "end": _seconds(word.end_ms)}
            for segment in transcript.segments
            for word in segment.words
        ]
    return body


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """All that OpenAI's has. There are no tokens to tell of, each segment was a window of its own, and what
    was not speech is no longer here."""
    return {
        "id": number,
        "seek": segment.start_ms // 10,
        "start": _seconds(segment.start_ms),
        "end": _seconds(segment.end_ms),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _average_log_probability(segment.words),
        "compression_ratio": _compression_ratio(segment.text),
        "no_speech_prob": 0.0,
    }


def _average_log_probability(words: Iterable[Word]) -> float:
    logarithms = [math.log(max(word.confidence, LEAST_CONFIDENCE)) for word in words]
    return round(sum(logarithms) / len(logarithms), 4) if logarithms else 0.0


def _compression_ratio(text: str) -> float:
    data = text.encode()
    return round(len(data) / len(zlib.compress(data)), 4)


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": _seconds(transcript.duration_ms)}


def _seconds(position_ms: int) -> float:
    return round(position_ms / 1000, 3)


def _json(body: Mapping[str, Any]) -> tuple[str, str]:
    return json.dumps(body, ensure_ascii=False), "application/json"


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
