"""Text shown before the endpoint, and the promise about it: it comes again as it was, or is taken back.

At most one is shown at a time: that of the utterance whose pause goes on.
"""

from __future__ import annotations

from fasttalk_stt.audio.timeline import Timeline
from fasttalk_stt.conversation.figures import with_numbers
from fasttalk_stt.conversation.finals import position_ms, transcription
from fasttalk_stt.conversation.segments import Entry, Heard, Speculation
from fasttalk_stt.protocol.server_messages import (
    EagerRetracted,
    EagerTranscription,
    RetractionData,
    RetractionReason,
)


class EagerResults:
    """What was shown of the open pause, if anything was."""

    def __init__(self, *, timeline: Timeline, model: str) -> None:
        self._timeline = timeline
        self._model = model
        self._shown: Speculation | None = None

    def show(
        self, speculation: Speculation, entry: Entry, heard: Heard, now_s: float
    ) -> EagerTranscription:
        """The text as it stands. `entry` is the speculation's segment as if it were closed now."""
        speculation.told = True
        self._shown = speculation
        entry.ready_at_s = now_s
        final = transcription(
            entry,
            with_numbers(heard),
            timeline=self._timeline,
            model=self._model,
            sent_at_s=now_s,
        )
        return EagerTranscription(final.data)

    def keep(self) -> None:
        """The pause has become the end: the segment's text will be what was shown."""
        self._shown = None

    def take_back(self, reason: RetractionReason) -> list[EagerRetracted]:
        """What was shown of the open pause does not hold."""
        shown, self._shown = self._shown, None
        return self.take_back_of(shown, reason)

    def take_back_of(
        self, speculation: Speculation | None, reason: RetractionReason
    ) -> list[EagerRetracted]:
        """This speculation will have no final; nothing to say unless it was shown."""
        if speculation is None or not speculation.told:
            return []
        segment = speculation.segment
        start_ms = position_ms(self._timeline, segment.start)
        return [EagerRetracted(RetractionData(segment.utterance, start_ms, reason))]
