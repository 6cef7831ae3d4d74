"""What the consumer was told of a session, and so where another connection must go on. Pure.

It reads every message of the server, drops what was told before, and writes the `resume` object.
An utterance is under way from its reported onset, or the first part of its text, to its last text,
its rejection, or the end of its speech where no text is to come.
"""

from __future__ import annotations

from attrs import define, evolve

from fasttalk_stt.client.events import (
    EagerRetracted,
    EagerTranscription,
    ServerEvent,
    SpeechEnded,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.protocol.server_messages import (
    Metadata,
    RetractionData,
    SpeechEndedData,
    TranscriptionData,
    VoiceActivityData,
)

MAX_TEXT_CHARS = 8_192
"""Of an utterance's text so much goes into `resume`, its end; a message may have 65,536 characters."""

_LAST_REASONS = frozenset({"speech_end", "max_silence", "session_end"})


@define
class _Utterance:
    """One that is under way. Positions in milliseconds; None: not known (yet)."""

    start_ms: int
    onset_ms: int | None = None
    speech_end_ms: int | None = None
    text: str = ""


class Progress:
    """How far one session has come, as its consumer knows."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.seq = 0
        self.committed_ms = 0
        self._under_way: dict[int, _Utterance] = {}
        self._last_over = 0
        self._eager: EagerTranscription | None = None
        self._stamp: Metadata | None = None

    def take(self, event: ServerEvent) -> bool:
        """Note a message of the session; False: it was told before and is to be dropped."""
        stamp = event.metadata
        if stamp.seq is not None:
            if stamp.seq <= self.seq:
                return False
            self.seq = stamp.seq
        self._stamp = stamp
        if stamp.audio_committed_ms is not None:
            self.committed_ms = max(self.committed_ms, stamp.audio_committed_ms)
        is_new = self._note(event)
        self._close_settled()
        return is_new

    def retraction(self) -> EagerRetracted | None:
        """Takes back an eager text that is neither confirmed nor retracted; the connection that
        owed the answer is gone."""
        eager, self._eager = self._eager, None
        if eager is None or self._stamp is None:
            return None
        data = RetractionData(
            utterance=eager.data.utterance,
            audio_start_ms=eager.data.metadata.audio_start_ms,
            reason="superseded",
        )
        return EagerRetracted(data, evolve(self._stamp, seq=None))

    def resume(self, *, committed_ms: int, audio_from_ms: int) -> dict[str, object]:
        """The `resume` object of the next `start_session`."""
        reported: bool | int = False
        utterance, onset_ms, text = self._last_over, None, ""
        if self._under_way:
            utterance, highest = min(self._under_way), max(self._under_way)
            reported = True if highest == utterance else highest
            text = self._under_way[utterance].text[-MAX_TEXT_CHARS:]
            onsets = [u.onset_ms for _, u in sorted(self._under_way.items())]
            onset_ms = next((onset for onset in reversed(onsets) if onset is not None), None)
        return {
            "session_id": self.session_id,
            "committed_ms": committed_ms,
            "audio_from_ms": audio_from_ms,
            "seq": self.seq,
            "utterance": utterance,
            "onset_reported": reported,
            "onset_ms": onset_ms,
            "text": text,
        }

    def _note(self, event: ServerEvent) -> bool:
        match event:
            case VoiceActivityDetected(data=onset):
                return self._note_onset(onset)
            case Transcription(data=data):
                self._note_text(data)
            case VoiceActivityRejected(data=rejection):
                self._answered(rejection.utterance)
                self._end(rejection.utterance)
            case SpeechEnded(data=ended):
                return self._note_speech_end(ended)
            case EagerTranscription():
                self._eager = event
            case EagerRetracted(data=retraction):
                self._answered(retraction.utterance)
            case _:
                pass
        return True

    def _note_onset(self, onset: VoiceActivityData) -> bool:
        if onset.utterance <= self._last_over and onset.utterance not in self._under_way:
            return False
        utterance = self._open(onset.utterance, onset.audio_start_ms)
        is_new = utterance.onset_ms is None
        utterance.onset_ms = onset.audio_start_ms
        return is_new

    def _note_text(self, data: TranscriptionData) -> None:
        number, reason = data.utterance, data.metadata.reason
        self._answered(number)
        if data.text:
            utterance = self._open(number, data.metadata.audio_start_ms)
            utterance.text = f"{utterance.text} {data.text}".strip()
        if reason in _LAST_REASONS or data.metadata.end_of_turn:
            self._end(number)

    def _note_speech_end(self, ended: SpeechEndedData) -> bool:
        utterance = self._under_way.get(ended.utterance)
        if utterance is None:
            return True
        is_new = utterance.speech_end_ms is None
        utterance.speech_end_ms = ended.audio_end_ms
        return is_new

    def _open(self, number: int, start_ms: int) -> _Utterance:
        return self._under_way.setdefault(number, _Utterance(start_ms))

    def _end(self, number: int) -> None:
        self._under_way.pop(number, None)
        self._last_over = max(self._last_over, number)

    def _answered(self, number: int) -> None:
        if self._eager is not None and self._eager.data.utterance == number:
            self._eager = None

    def _close_settled(self) -> None:
        """End utterances of which nothing is to come: their speech is over and settled, or all
        audio before a later one is."""
        for number, utterance in sorted(self._under_way.items()):
            later = [u.start_ms for n, u in self._under_way.items() if n > number]
            speech_settled = (
                utterance.speech_end_ms is not None and self.committed_ms >= utterance.speech_end_ms
            )
            if speech_settled or (later and self.committed_ms >= min(later)):
                self._end(number)
