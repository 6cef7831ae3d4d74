"""The promise about reported onsets: each is answered by text, or by exactly one rejection."""

from __future__ import annotations

from collections.abc import Callable

from fasttalk_stt.protocol.server_messages import (
    RejectionData,
    RejectionReason,
    VoiceActivityRejected,
)


class OnsetRegister:
    """Keeps the reported onsets that have no answer yet, and which utterances have text."""

    def __init__(self) -> None:
        self._unanswered: dict[int, int] = {}
        self._texts: dict[int, str] = {}
        self.last_reported: int | None = None

    def report(self, utterance: int, audio_start_ms: int) -> None:
        """An onset was reported to the client."""
        self._unanswered[utterance] = audio_start_ms
        self.last_reported = utterance

    def add_text(self, utterance: int, text: str) -> None:
        """A final with text of this utterance is sent: its onset is answered.

        `text` has the spaces the engine gave it.
        """
        self._texts[utterance] = self.text(utterance) + text
        self._unanswered.pop(utterance, None)

    def text(self, utterance: int) -> str:
        """All text sent so far of an utterance that has not ended."""
        return self._texts.get(utterance, "")

    def end(self, utterance: int) -> None:
        """The utterance is over; its text is not needed any more."""
        self._texts.pop(utterance, None)

    def end_all(self, stale: Callable[[int], bool]) -> None:
        """All stale utterances are over."""
        for utterance in list(self._texts):
            if stale(utterance):
                self.end(utterance)

    def reject(
        self, utterance: int, reason: RejectionReason, *, text: str | None = None
    ) -> VoiceActivityRejected | None:
        """The rejection of a reported onset, or None where it was not reported or is answered."""
        audio_start_ms = self._unanswered.pop(utterance, None)
        if audio_start_ms is None:
            return None
        return VoiceActivityRejected(RejectionData(utterance, audio_start_ms, reason, text))

    def awaits_answer(self, utterance: int) -> bool:
        """Whether this utterance's onset was reported and has no answer yet."""
        return utterance in self._unanswered

    def reject_all(
        self, stale: Callable[[int], bool], reason: RejectionReason
    ) -> list[VoiceActivityRejected]:
        """The rejections of all unanswered onsets whose utterance is stale, oldest first."""
        found = [utterance for utterance in sorted(self._unanswered) if stale(utterance)]
        rejections = (self.reject(utterance, reason) for utterance in found)
        return [rejection for rejection in rejections if rejection is not None]
