"""A file's session over the in-memory transport, against a scripted connection."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import trio
from attrs import frozen

from fasttalk_stt.transcripts.audio_file import AudioFileError
from fasttalk_stt.transcripts.recording import Recording, Sound
from fasttalk_stt.transcripts.transcript import Segment, Transcript, Word, as_json, as_text
from fasttalk_stt.transcripts.transcription import (
    BUFFER_DURATION_S,
    Progress,
    TranscriptionFailedError,
    Watcher,
    Wishes,
)
from fasttalk_stt.transcripts.transcription import transcribe as transcribe_sound


def wav(samples, rate_hz=16_000):
    data = io.BytesIO()
    soundfile.write(data, samples, rate_hz, format="WAV")
    data.seek(0)
    return data


@frozen
class Progresses(Watcher):
    seen: list[Progress]

    def progress(self, progress):
        self.seen.append(progress)


@pytest.fixture
def transcribe(scripted_connection):
    """Transcribe two seconds; returns the transcript, the connection, the progress."""

    async def run(must_be_whole=False, **script):
        connections, progress = [], []

        def connect(transport):
            connections.append(scripted_connection(transport, **script))
            return connections[-1]

        transcript = await transcribe_sound(
            Sound("a.wav", wav(np.zeros(32_000))),
            connect=connect,
            wishes=Wishes("en", ("Fasttalk",)),
            longest_s=10.0,
            limiter=trio.CapacityLimiter(1),
            watcher=Progresses(progress),
            must_be_whole=must_be_whole,
        )
        return transcript, connections[0], progress

    return run


async def test_a_transcript_holds_what_the_session_said(transcribe):
    transcript, connection, progress = await transcribe()
    assert (transcript.file, transcript.duration_ms) == ("a.wav", 2_000)
    assert (transcript.model, transcript.language) == ("scripted", "en")
    assert transcript.problems == ()
    assert transcript.segments[1] == Segment(
        text="Word 2.",
        start_ms=1_000,
        end_ms=2_000,
        utterance=2,
        words=(
            Word(text="Word", start_ms=1_000, end_ms=1_400, confidence=0.9),
            Word(text="2.", start_ms=1_400, end_ms=1_800, confidence=0.8),
        ),
    )
    assert connection.config == {
        "language": "en",
        "vocabulary": ["Fasttalk"],
        "enable_timestamps": True,
        "buffer_duration": BUFFER_DURATION_S,
        "sample_rate": 16_000,
    }
    assert progress == [
        Progress(settled_ms=0, duration_ms=2_000),
        Progress(settled_ms=1_000, duration_ms=2_000),
        Progress(settled_ms=2_000, duration_ms=2_000),
    ]


async def test_a_part_that_failed_is_a_problem_of_the_transcript(transcribe):
    error = {"type": "error", "error": {"code": "transcription_failed", "message": "no text"}}
    transcript, _, _ = await transcribe(before_end=(error,))
    assert transcript.problems == ("no text",)
    assert len(transcript.segments) == 2


async def test_what_must_be_whole_fails_with_its_first_part(transcribe):
    error = {"type": "error", "error": {"code": "transcription_failed", "message": "no text"}}
    with pytest.raises(TranscriptionFailedError, match=r"^a\.wav: no text$") as caught:
        await transcribe(before_end=(error,), must_be_whole=True)
    assert caught.value.code == "transcription_failed"


async def test_a_file_that_breaks_off_is_told_after_its_beginning(transcribe, monkeypatch):
    def fail(self, seconds):
        raise AudioFileError("a.wav: broken")

    monkeypatch.setattr(Recording, "read", fail)
    with pytest.raises(AudioFileError, match="broken"):
        await transcribe()


async def test_a_refused_session_is_a_failure(transcribe):
    error = {"type": "error", "error": {"code": "invalid_config", "message": "language 'xx'"}}
    with pytest.raises(TranscriptionFailedError, match=r"^a\.wav: language 'xx'$"):
        await transcribe(answer_start=error)


async def test_a_connection_that_closes_is_a_failure(transcribe):
    line = r"^a\.wav: the connection was closed with 1011 \(internal fault\)$"
    with pytest.raises(TranscriptionFailedError, match=line):
        await transcribe(close_code=1011)


async def test_text_has_a_line_for_each_utterance(transcribe):
    transcript, _, _ = await transcribe()
    assert as_text(transcript) == "Word 1.\nWord 2.\n"


def test_segments_of_one_utterance_share_a_line():
    first = Segment(text="One", start_ms=0, end_ms=1, utterance=1)
    second = Segment(text="two.", start_ms=1, end_ms=2, utterance=1)
    transcript = Transcript(
        file="a",
        duration_ms=1,
        model="m",
        language=None,
        segments=(first, second),
    )
    assert as_text(transcript) == "One two.\n"


async def test_json_holds_everything(transcribe):
    transcript, _, _ = await transcribe()
    made = as_json(transcript)
    assert made["text"] == "Word 1. Word 2."
    assert made["segments"][0] == {
        "utterance": 1,
        "start_ms": 0,
        "end_ms": 1_000,
        "text": "Word 1.",
        "words": [
            {"word": "Word", "start_ms": 0, "end_ms": 400, "confidence": 0.9},
            {"word": "1.", "start_ms": 400, "end_ms": 800, "confidence": 0.8},
        ],
    }
