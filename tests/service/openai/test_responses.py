"""A transcript in OpenAI's formats."""

from __future__ import annotations

import json
import math

import pytest

from fasttalk_stt.service.openai.form import TranscriptionRequest
from fasttalk_stt.service.openai.responses import (
    delta_event,
    deltas,
    done_event,
    error_event,
    full_text,
    model_object,
    render,
)
from fasttalk_stt.transcripts.transcript import Segment, Transcript, Word
from fasttalk_stt.transcripts.transcription import Wishes

SEGMENTS = (
    Segment(
        "Hallo, Welt.",
        250,
        1_750,
        1,
        (Word("Hallo,", 300, 700, 0.5), Word("Welt.", 800, 1_400, 1.0)),
    ),
    Segment("Ja.", 3_000, 3_600, 2, (Word("Ja.", 3_100, 3_400, 0.0),)),
)
TRANSCRIPT = Transcript("a.wav", 4_321, "tiny", "de", SEGMENTS)
NOTHING = Transcript("a.wav", 4_321, "tiny", None, ())


def made(response_format, *granularities, transcript=TRANSCRIPT, language=None):
    request = TranscriptionRequest(
        Wishes(language), response_format, frozenset(granularities or {"segment"})
    )
    body, media_type = render(transcript, request)
    return json.loads(body) if media_type == "application/json" else body


def test_json_and_text():
    text = "Hallo, Welt. Ja."
    assert made("json") == {"text": text, "usage": {"type": "duration", "seconds": 4.321}}
    assert made("text") == text + "\n"


def test_subtitles():
    assert made("srt").startswith("1\n00:00:00,300 --> ")
    assert made("vtt").startswith("WEBVTT\n\n00:00:00.300 --> ")


def test_verbose_json_has_what_was_asked_for():
    both = made("verbose_json", "word", "segment")
    assert (both["task"], both["language"], both["duration"]) == ("transcribe", "german", 4.321)
    assert both["words"] == [
        {"word": "Hallo,", "start": 0.3, "end": 0.7},
        {"word": "Welt.", "start": 0.8, "end": 1.4},
        {"word": "Ja.", "start": 3.1, "end": 3.4},
    ]
    first, second = both["segments"]
    assert (first["id"], first["start"], first["end"], first["seek"]) == (0, 0.25, 1.75, 25)
    assert first["avg_logprob"] == pytest.approx(math.log(0.5) / 2, abs=1e-4)
    assert second["avg_logprob"] < -1
    assert first["tokens"] == []
    assert "words" not in made("verbose_json")
    assert "segments" not in made("verbose_json", "word")


def test_nothing_was_said():
    assert made("json", transcript=NOTHING)["text"] == ""
    assert made("srt", transcript=NOTHING) == ""
    assert made("vtt", transcript=NOTHING) == "WEBVTT\n\n"
    assert made("verbose_json", transcript=NOTHING, language="fr")["language"] == "french"


def test_events_add_up():
    assert "".join(deltas(SEGMENTS)) == full_text(TRANSCRIPT)
    assert delta_event(" a\n\nb") == (
        'data: {"type": "transcript.text.delta", "delta": " a\\n\\nb"}\n\n'
    )
    done = json.loads(done_event(TRANSCRIPT).removeprefix("data: "))
    assert done == {"type": "transcript.text.done", "text": full_text(TRANSCRIPT)}
    assert error_event({"error": {}}) == 'data: {"error": {}}\n\n'


def test_a_model_is_as_openai_lists_it():
    assert model_object("tiny", 5) == {
        "id": "tiny", "object": "model", "created": 5, "owned_by": "fasttalk-stt",
    }  # fmt: skip
