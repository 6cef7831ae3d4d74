"""A finished transcript of one file, and its plain forms: text and JSON.

Made from the `transcription` messages of one session, in their order. `subtitles` makes cues of it;
`transcribe` is what fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


@frozen
class Word:
    """A word on the file's clock, without surrounding spaces; start < end."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float


@frozen
class Segment:
    """The text of one stretch of audio. `words` is empty where there are no word times.

    Segments of one `utterance` were spoken without a pause between them.
    """

    text: str
    start_ms: int
    end_ms: int
    utterance: int
    words: tuple[Word, ...] = ()


@frozen
class Transcript:
    """Everything heard in one file; `language` is that of its first segment.

    `problems` has a line for each part of the audio that could not be transcribed.
    """

    file: str
    duration_ms: int
    model: str
    language: str | None
    segments: tuple[Segment, ...]
    problems: tuple[str, ...] = ()


def segment_of(data: Mapping[str, Any]) -> Segment:
    """The segment in the `data` of a `transcription` message."""
    start_ms = data["metadata"]["audio_start_ms"]
    return Segment(
        text=data["text"].strip(),
        start_ms=start_ms,
        end_ms=start_ms + data["audio_duration_ms"],
        utterance=data["utterance"],
        words=tuple(
            Word(
                text=word["word"].strip(),
                start_ms=word["start_ms"],
                end_ms=word["end_ms"],
                confidence=word["confidence"],
            )
            for word in data.get("timestamps") or ()
        ),
    )


def as_text(transcript: Transcript) -> str:
    """One line for each utterance."""
    lines: dict[int, list[str]] = {}
    for segment in transcript.segments:
        lines.setdefault(segment.utterance, []).append(segment.text)
    return "".join(" ".join(parts) + "\n" for parts in lines.values())


def as_json(transcript: Transcript) -> dict[str, Any]:
    """Text, segments and words, all times in milliseconds."""
    return {
        "file": transcript.file,
        "duration_ms": transcript.duration_ms,
        "model": transcript.model,
        "language": transcript.language,
        "text": " ".join(segment.text for segment in transcript.segments),
        "problems": list(transcript.problems),
        "segments": [
            {
                "utterance": segment.utterance,
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "text": segment.text,
                "words": [
                    {
                        "word": word.text,
                        "start_ms": word.start_ms,
                        "end_ms": word.end_ms,
                        "confidence": word.confidence,
                    }
                    for word in segment.words
                ],
            }
            for segment in transcript.segments
        ],
    }
