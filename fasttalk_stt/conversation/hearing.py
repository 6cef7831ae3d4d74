"""From samples to speech events: the voice detector and the endpointer of one session, together.

`segmenter` asks it what was heard and where the utterance stands; it knows nothing of utterances'
numbers, segments or words.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.endpointer import (
    Endpointer,
    EndpointerSettings,
    SpeechEvent,
    SpeechStarted,
)
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceDetector, VoiceFrame
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.protocol.config import SessionConfig

CANDIDATE_SPEECH_SAMPLES = pipeline_samples(0.06)
"""Unconfirmed speech that a flush or the session's end transcribes rather than drops."""
PAUSE_SAMPLES = pipeline_samples(0.1)
"""Silence after which the endpoint may be near."""


class Hearing:
    """`heard_to` is how far the stream was judged, in pipeline samples."""

    def __init__(
        self, config: SessionConfig, detector: VoiceDetector, *, max_silence_samples: int
    ) -> None:
        self._detector = detector
        self._max_silence_samples = max_silence_samples
        self._endpointer = Endpointer(self._settings(config, Context()))
        self._deaf_before = 0
        self.heard_to = 0

    def adjust(self, config: SessionConfig, context: Context) -> None:
        """Judge by this configuration and context from the next frame on."""
        self._detector.set_sensitivity(config.vad_sensitivity)
        self._endpointer.settings = self._settings(config, context)

    def push(
        self, samples: npt.NDArray[np.float32]
    ) -> Iterator[tuple[VoiceFrame, SpeechEvent | None]]:
        """Judge float32[n_samples]: each frame that is complete, with the event it brought."""
        for frame in self._detector.push(samples):
            self.heard_to = frame.end
            if frame.start >= self._deaf_before:
                yield frame, self._endpointer.push(frame)

    def reset(self, deaf_before: int = 0) -> None:
        """Start from silence, and ignore what lies before `deaf_before`."""
        self._endpointer.reset()
        self._deaf_before = max(self._deaf_before, deaf_before)

    def open_by_decree(self) -> SpeechStarted:
        """Take the unconfirmed onset for one; `has_candidate` must hold."""
        return self._endpointer.open()

    @property
    def has_candidate(self) -> bool:
        """Whether an onset is under way that is not confirmed, but more than a click."""
        return self._endpointer.candidate_voiced_samples >= CANDIDATE_SPEECH_SAMPLES

    @property
    def silent_to(self) -> int:
        """Up to where nothing was voiced, while no utterance is open."""
        onset = self._endpointer.candidate_onset
        return self.heard_to if onset is None else onset

    @property
    def voiced_frames(self) -> list[int]:
        """The starts of the voiced frames of an onset."""
        return self._endpointer.voiced_frames

    @property
    def speech_end(self) -> int:
        """The end of the open utterance's last voiced frames."""
        return self._endpointer.speech_end

    @property
    def in_pause(self) -> bool:
        """Whether the open utterance may be near its endpoint."""
        return self.heard_to - self.speech_end >= PAUSE_SAMPLES

    def _settings(self, config: SessionConfig, context: Context) -> EndpointerSettings:
        silence_s = config.endpoint_silence_ms / 1000 * context.endpoint_factor
        return EndpointerSettings(
            endpoint_silence_samples=pipeline_samples(silence_s),
            max_silence_samples=self._max_silence_samples,
            onset_frames=context.onset_frames,
        )
