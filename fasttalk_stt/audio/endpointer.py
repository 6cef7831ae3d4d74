"""Where speech begins and ends: a state machine over voice frames, with hysteresis on both edges.

Frames in, `SpeechStarted` and `SpeechEnded` out. All positions are pipeline samples; no clock is
read. What is done about an utterance is `conversation.segmenter`'s business.

Onset: enough voiced frames within a short window, so that a click or a cough opens nothing.
End: no cluster of voiced frames for the endpoint silence, so that a single voiced frame in a pause
does not prolong it.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from attrs import field, frozen

from fasttalk_stt.audio.vad import FRAME_SAMPLES, VoiceFrame

ONSET_WINDOW_FRAMES = 8
"""160 ms in which the voiced frames of an onset must lie."""
CLUSTER_WINDOW_FRAMES = 3
CLUSTER_VOICED_FRAMES = 2
"""Inside an utterance two voiced frames of three (60 ms) count as speech; one alone does not."""


@frozen
class EndpointerSettings:
    """`onset_frames` of ONSET_WINDOW_FRAMES must be voiced to open an utterance.

    The defaults ask for 100 ms of voice: the shortest words people answer with ("no", "yes") have
    more, clicks have less. `max_silence_samples` ends an utterance whose endpoint silence is longer.
    """

    endpoint_silence_samples: int
    max_silence_samples: int
    onset_frames: int = field(default=5)


@frozen
class SpeechStarted:
    """`onset` is the start of the first voiced frame, `detected_at` the end of the deciding one.

    `confidence` 0-1 is the share of voiced frames since the onset, `level` 0-1 their mean loudness.
    """

    onset: int
    detected_at: int
    confidence: float
    level: float


@frozen
class SpeechEnded:
    """`speech_end` is the end of the last voiced frame, `decided_at` where the silence sufficed."""

    speech_end: int
    decided_at: int
    reason: Literal["speech_end", "max_silence"]


SpeechEvent = SpeechStarted | SpeechEnded


class Endpointer:
    """The state machine of one session. Settings may change between frames."""

    def __init__(self, settings: EndpointerSettings) -> None:
        self.settings = settings
        self._window: deque[VoiceFrame] = deque(maxlen=ONSET_WINDOW_FRAMES)
        self._speaking = False
        self._speech_end = 0

    @property
    def speech_end(self) -> int:
        """The end of the last voiced cluster of the utterance that is open."""
        return self._speech_end

    @property
    def voiced_frames(self) -> list[int]:
        """The starts of the voiced frames in the onset window."""
        return [frame.start for frame in self._window if frame.voiced]

    @property
    def candidate_onset(self) -> int | None:
        """Where an onset would lie that is not yet confirmed; None where nothing is voiced."""
        if self._speaking:
            return None
        return next((frame.start for frame in self._window if frame.voiced), None)

    @property
    def candidate_voiced_samples(self) -> int:
        """How much voice the unconfirmed onset holds so far."""
        if self._speaking:
            return 0
        return sum(frame.end - frame.start for frame in self._window if frame.voiced)

    def push(self, frame: VoiceFrame) -> SpeechEvent | None:
        """Take the next frame; at most one event follows from it."""
        self._window.append(frame)
        return self._while_speaking(frame) if self._speaking else self._while_silent(frame)

    def open(self) -> SpeechStarted:
        """Begin an utterance by decree, as a flush does with speech not yet confirmed.

        Some frame of the window must be voiced: `candidate_onset` is not None.
        """
        self._speaking = True
        self._speech_end = self._window[-1].end
        return self._started()

    def reset(self) -> None:
        """Forget the open utterance or candidate; the next frame starts from silence."""
        self._speaking = False
        self._window.clear()

    def _while_silent(self, frame: VoiceFrame) -> SpeechEvent | None:
        voiced = [f for f in self._window if f.voiced]
        if not frame.voiced or len(voiced) < self.settings.onset_frames:
            return None
        self._speaking = True
        self._speech_end = frame.end
        return self._started()

    def _started(self) -> SpeechStarted:
        voiced = [frame for frame in self._window if frame.voiced]
        onset, detected_at = voiced[0].start, self._window[-1].end
        return SpeechStarted(
            onset=onset,
            detected_at=detected_at,
            confidence=len(voiced) / ((detected_at - onset) // FRAME_SAMPLES),
            level=sum(frame.level for frame in voiced) / len(voiced),
        )

    def _while_speaking(self, frame: VoiceFrame) -> SpeechEvent | None:
        if frame.voiced:
            recent = list(self._window)[-CLUSTER_WINDOW_FRAMES:]
            if sum(f.voiced for f in recent) >= CLUSTER_VOICED_FRAMES:
                self._speech_end = frame.end
        silence = frame.end - self._speech_end
        settings = self.settings
        if silence < min(settings.endpoint_silence_samples, settings.max_silence_samples):
            return None
        waiting_still = silence < settings.endpoint_silence_samples
        event = SpeechEnded(
            speech_end=self._speech_end,
            decided_at=frame.end,
            reason="max_silence" if waiting_still else "speech_end",
        )
        self.reset()
        return event
