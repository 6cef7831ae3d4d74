"""Looks at an utterance that is open: when to ask what was said so far, and what of it is committed.

A look is a `Draft`: a request for all that is open, whose answer may be shown (a partial) or of which
words that lie far enough back are sent for good. `segmenter` decides everything else about the utterance.
"""

from __future__ import annotations

import attrs

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.commit import (
    COMMIT_EXTRA_SAMPLES,
    FORCED_AFTER_SAMPLES,
    choose_cut,
)
from fasttalk_stt.conversation.effort import USUAL_EFFORT
from fasttalk_stt.conversation.hearing import Hearing
from fasttalk_stt.conversation.open_audio import OpenAudio
from fasttalk_stt.conversation.segmenter_events import Committed, Due, SegmenterEvent
from fasttalk_stt.conversation.segments import Draft, Heard
from fasttalk_stt.conversation.utterance import OpenUtterance
from fasttalk_stt.protocol.config import SessionConfig

FIRST_PARTIAL_SAMPLES = pipeline_samples(0.4)
"""Behind an onset, the first partial's look: in less there is hardly a word."""
LONGEST_OPEN_SAMPLES = pipeline_samples(26.0)
"""Open audio is cut here whatever the drafts say; a frame of 1 s more still fits the window."""


class Looks:
    """The looks of one session. `effort` may be changed at any time."""

    def __init__(self, config: SessionConfig, audio: OpenAudio, hearing: Hearing) -> None:
        self._config = config
        self._audio = audio
        self._hearing = hearing
        self.effort = USUAL_EFFORT

    def configure(self, config: SessionConfig) -> None:
        """Look by this configuration from now on."""
        self._config = config

    def again(self) -> list[SegmenterEvent]:
        """Ask for a draft of the open audio, where there is enough of it that is new."""
        audio, utterance = self._audio, self._audio.utterance
        if utterance is None:
            return []
        heard_to = self._hearing.heard_to
        open_samples = heard_to - audio.cursor
        if open_samples >= LONGEST_OPEN_SAMPLES:
            # Only drafts that keep failing lead here; the segment's own request decides.
            speech_end = self._speech_end(heard_to)
            return [audio.cut(heard_to, "buffer_full", speech_end=speech_end, ends_utterance=False)]
        may_commit = self._may_commit(open_samples)
        draft = utterance.draft
        if draft is not None:
            if draft.may_commit or not may_commit:
                return []
            draft.may_commit = True
            return [Due(draft)]
        # Near an endpoint a draft would only delay the segment that is about to be closed.
        falls_silent = self._config.enable_vad and self._hearing.speech_end < heard_to
        if falls_silent or not self._is_worth_a_look(utterance, heard_to, may_commit=may_commit):
            return []
        utterance.draft_edge = heard_to
        utterance.draft = Draft(
            utterance=utterance.number,
            generation=audio.generation,
            start=audio.cursor,
            edge=heard_to,
            speech=audio.request(heard_to),
            may_commit=may_commit,
        )
        return [utterance.draft]

    def renew(self, draft: Draft) -> None:
        """Let a draft that is only now taken up look at all that is open by now."""
        audio, utterance = self._audio, self._audio.utterance
        if utterance is None or draft.generation != audio.generation:
            return
        draft.edge = utterance.draft_edge = self._hearing.heard_to
        draft.speech = audio.request(draft.edge)

    def commit(self, draft: Draft, heard: Heard | None) -> Committed | None:
        """Take a draft's outcome (None: it failed); returns what it commits, if anything."""
        audio, utterance = self._audio, self._audio.utterance
        if utterance is None or draft.generation != audio.generation:
            return None
        utterance.draft = None
        waited = draft.edge - audio.cursor
        if heard is None or not self._may_commit(waited):
            return None
        cut = choose_cut(
            heard.words,
            start=audio.cursor,
            edge=draft.edge,
            # Without a detector there is no endpoint to wait for.
            drop_wordless=not self._config.enable_vad or waited >= FORCED_AFTER_SAMPLES,
        )
        if cut.end == audio.cursor:
            return None
        words, end = heard.words[: cut.n_words], cut.end
        # Without a detector no endpoint ends an utterance, so each commit does.
        ends_utterance = not self._config.enable_vad
        segment = audio.segment(
            end,
            "buffer_full",
            speech_end=self._speech_end(end),
            ends_utterance=ends_utterance,
            speech=None,
        )
        if ends_utterance:
            audio.cursor = end
            audio.begin(end, heard_from=end).draft_edge = draft.edge
        audio.advance(end)
        return Committed(segment=segment, heard=attrs.evolve(heard, words=words))

    def _may_commit(self, open_samples: int) -> bool:
        """Whether so much audio is open that words of it may be committed."""
        return open_samples >= (
            pipeline_samples(self._config.buffer_duration) + COMMIT_EXTRA_SAMPLES
        )

    def _is_worth_a_look(
        self, utterance: OpenUtterance, heard_to: int, *, may_commit: bool
    ) -> bool:
        grown = heard_to - utterance.draft_edge
        if may_commit:
            return grown >= self.effort.commit_samples
        if not self._config.interim_results:
            return False
        if utterance.draft_edge == utterance.audio_start:
            return heard_to - utterance.speech_start >= FIRST_PARTIAL_SAMPLES
        return grown >= self.effort.partial_samples

    def _speech_end(self, end: int) -> int:
        """Where voice ended in audio that is cut at `end`; nobody knows without a detector."""
        return self._hearing.speech_end if self._config.enable_vad else end
