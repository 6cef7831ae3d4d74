"""What `resume` says after which messages."""

from __future__ import annotations

from typing import Any

import pytest

from fasttalk_stt.client.events import EagerRetracted, read_event
from fasttalk_stt.client.resume import MAX_TEXT_CHARS, Progress
from tests.client.model_server import ModelServer


class Told(Progress):
    """A consumer that is told messages, with the stamps of a server."""

    def __init__(self) -> None:
        super().__init__()
        self.session_id = "s-1"
        self._said = 0
        self._server = ModelServer()

    def tell(
        self, kind: str, committed_ms: int = 0, *, seq: int | None = None, **data: Any
    ) -> bool:
        self._said += 1
        stamp = {"session_id": "s-1", "timestamp": "", "seq": seq or self._said}
        message = {
            "type": kind,
            "data": data,
            "metadata": stamp | {"audio_committed_ms": committed_ms},
        }
        return self.take(read_event(message))

    def onset(self, utterance: int, start_ms: int, committed_ms: int = 0) -> bool:
        rest = {"confidence": 1, "duration_ms": 1, "energy_level": 1, "is_speech": True}
        rest |= {"timestamp": "", "barge_in": False, "withheld_segments": 0}
        return self.tell(
            "voice_activity_detected",
            committed_ms,
            utterance=utterance,
            audio_start_ms=start_ms,
            **rest,
        )

    def text(
        self, utterance: int, text: str, reason: str, committed_ms: int, kind: str = "transcription"
    ) -> bool:
        message = self._server._text(utterance, text, reason, 0)
        return self.tell(kind, committed_ms, **message["data"])

    def now(self) -> tuple[Any, ...]:
        said = self.resume(committed_ms=self.committed_ms, audio_from_ms=0)
        return tuple(said[k] for k in ("utterance", "onset_reported", "onset_ms", "text"))


@pytest.fixture
def told() -> Told:
    return Told()


def test_of_nothing_there_is_nothing_to_say(told: Told) -> None:
    assert told.resume(committed_ms=0, audio_from_ms=0) == {
        "session_id": "s-1",
        "committed_ms": 0,
        "audio_from_ms": 0,
        "seq": 0,
        "utterance": 0,
        "onset_reported": False,
        "onset_ms": None,
        "text": "",
        "words": [],
    }


def test_an_onset_is_under_way_until_its_last_text(told: Told) -> None:
    told.onset(1, 500)
    assert told.now() == (1, True, 500, "")
    told.text(1, "one two", "buffer_full", 2000)
    told.text(1, "three", "flush", 2500)
    assert told.now() == (1, True, 500, "one two three")
    told.text(1, "four", "speech_end", 3000)
    assert told.now() == (1, False, None, "")


def test_of_several_the_oldest_is_named_and_the_highest_reported(told: Told) -> None:
    told.onset(1, 500)
    told.onset(2, 2500)
    told.onset(3, 4500)
    assert told.now() == (1, 3, 4500, "")
    told.text(1, "one", "speech_end", 1500)
    assert told.now() == (2, 3, 4500, "")
    told.tell("voice_activity_rejected", 1500, utterance=3, audio_start_ms=4500, reason="noise")
    assert told.now() == (2, True, 2500, "")
    told.tell("voice_activity_rejected", 4000, utterance=2, audio_start_ms=2500, reason="noise")
    assert told.now() == (3, False, None, "")


def test_without_onsets_the_text_alone_says_what_is_under_way(told: Told) -> None:
    told.text(4, "one", "buffer_full", 2000)
    assert told.now() == (4, True, None, "one")


def test_a_later_one_ends_what_says_nothing_of_its_end(told: Told) -> None:
    """Without `fasttalk_mode` a flush may take an utterance's last words, and nothing follows."""
    told.text(1, "one", "flush", 2000)
    assert told.now() == (1, True, None, "one")
    told.onset(2, 3000, committed_ms=2900)
    assert told.now()[0] == 1
    told.tell("voice_activity_rejected", 3000, utterance=9, audio_start_ms=0, reason="noise")
    assert told.now()[:2] == (2, True)


def test_the_end_of_speech_ends_it_only_where_no_text_is_to_come(told: Told) -> None:
    told.onset(1, 500)
    ended = {"utterance": 1, "audio_start_ms": 500, "audio_end_ms": 2000}
    told.tell("speech_ended", 400, **ended)
    assert told.now() == (1, True, 500, "")
    assert not told.tell("speech_ended", 400, **ended), "told twice"
    told.text(1, "one", "speech_end", 2300)
    told.onset(2, 4000)
    told.text(2, "two", "flush", 5000)
    told.tell("speech_ended", 5300, utterance=2, audio_start_ms=4000, audio_end_ms=4900)
    assert told.now() == (2, False, None, "")


def test_what_was_seen_is_dropped(told: Told) -> None:
    assert told.tell("news", seq=5)
    assert not told.tell("news", seq=5)
    assert not told.tell("news", seq=4)
    assert told.seq == 5
    told._said = 5
    assert told.onset(1, 500)
    assert not told.onset(1, 500), "an onset that was reported"


def test_an_eager_text_is_owed_an_answer(told: Told) -> None:
    assert told.retraction() is None
    told.text(1, "one", "speech_end", 0, kind="eager_transcription")
    retraction = told.retraction()
    assert isinstance(retraction, EagerRetracted)
    assert (retraction.data.utterance, retraction.data.reason) == (1, "superseded")
    assert told.retraction() is None
    told.text(1, "one", "speech_end", 0, kind="eager_transcription")
    told.text(1, "one", "speech_end", 2000)
    assert told.retraction() is None


def test_a_text_without_end_is_told_by_its_end(told: Told) -> None:
    told.text(1, "x" * 2 * MAX_TEXT_CHARS + " end", "buffer_full", 2000)
    text = told.now()[3]
    assert len(text) == MAX_TEXT_CHARS
    assert text.endswith(" end")


def test_the_latest_words_go_along_as_far_as_their_audio_does(told: Told) -> None:
    times = [("one", 100, 400), ("two", 500, 900), ("three", 1000, 2100)]
    data = told._server._text(1, "one two three", "buffer_full", 0)["data"]
    data["timestamps"] = [
        {"word": word, "start_ms": start_ms, "end_ms": end_ms, "confidence": 0.9}
        for word, start_ms, end_ms in times
    ]
    told.tell("transcription", 2000, **data)
    said = told.resume(committed_ms=2000, audio_from_ms=200)
    assert said["words"] == [{"word": "two", "start_ms": 500, "end_ms": 900}]
