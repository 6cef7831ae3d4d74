"""What a session that goes on from a lost connection still owes its client.

The client was told of onsets that had no answer yet. The same audio comes again, so they are heard
again, under the same numbers, and are not reported a second time; those that are not heard again are
taken back.
"""

from __future__ import annotations

import math

from fasttalk_stt.audio.timeline import Timeline, pipeline_samples
from fasttalk_stt.conversation.onsets import OnsetRegister
from fasttalk_stt.conversation.segments import HeardWord
from fasttalk_stt.protocol.resume import Resume
from fasttalk_stt.protocol.server_messages import VoiceActivityRejected

HEARD_AGAIN_WITHIN_SAMPLES = pipeline_samples(1.0)
"""Behind the last onset that was reported: a detector that begins anew may decide a little later. It is
also the longest that evidence of an onset is gathered."""


def words_before(resume: Resume, timeline: Timeline) -> tuple[HeardWord, ...]:
    """The words that were said in the audio before what is committed, as far as it is sent again."""
    return tuple(
        HeardWord(
            text=f" {word.word}",
            start=timeline.to_pipeline(timeline.at_ms(word.start_ms)),
            end=timeline.to_pipeline(timeline.at_ms(word.end_ms)),
            confidence=1.0,
        )
        for word in resume.words
        if resume.audio_from_ms <= word.start_ms and word.end_ms <= resume.committed_ms
    )


class OwedOnsets:
    """The onsets that were reported before the connection was lost and have no answer; of a session that
    is new there are none. `last_number` is the utterance of the last of them."""

    def __init__(self, resume: Resume | None, onsets: OnsetRegister, timeline: Timeline) -> None:
        self._onsets = onsets
        self.last_number = 0
        self._due = math.inf
        if resume is None or not resume.is_under_way:
            return
        self.last_number = resume.reported_through
        reported_ms = resume.committed_ms if resume.onset_ms is None else resume.onset_ms
        if resume.onset_ms is not None:
            onset = timeline.to_pipeline(timeline.at_ms(resume.onset_ms))
            self._due = onset + HEARD_AGAIN_WITHIN_SAMPLES
        for utterance in range(resume.utterance, self.last_number + 1):
            onsets.report(utterance, reported_ms)
        if resume.text:
            onsets.add_text(resume.utterance, resume.text)

    def knows(self, utterance: int) -> bool:
        """Whether the client was told of this onset before."""
        return utterance <= self.last_number

    def overdue(self, heard_to: float, latest_utterance: int) -> list[VoiceActivityRejected]:
        """The rejections of those that should have been heard again by `heard_to`, a pipeline position.

        Their numbers are used up.
        """
        if heard_to < self._due or latest_utterance >= self.last_number:
            return []
        missing = range(latest_utterance + 1, self.last_number + 1)
        self._due = math.inf
        rejections = (self._onsets.reject(utterance, "noise") for utterance in missing)
        return [rejection for rejection in rejections if rejection is not None]
