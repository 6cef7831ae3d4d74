"""The utterance that is open: what it holds, whether that is worth a request, and what audio to send.

`segmenter` decides when it is cut; the words it already committed serve the next request as context.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import define, field

from fasttalk_stt.audio.buffer import SampleBuffer
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.segments import HeardWord, Speech
from fasttalk_stt.protocol.server_messages import SegmentReason

WORTH_SPEECH_SAMPLES = pipeline_samples(0.1)
"""Confirmed speech that makes a segment worth a transcription however short it is."""
SHORTEST_SEGMENT_SAMPLES = pipeline_samples(0.02)
"""Nothing shorter can hold a word: word times are no finer."""
CONTEXT_SAMPLES = pipeline_samples(8.0)
"""Committed audio that is decoded again in front of the open audio, for its context."""
WINDOW_SAMPLES = pipeline_samples(28.0)
"""The longest request; Whisper's window is 30 s."""


@define
class OpenUtterance:
    """`audio_start` is where its first segment begins, `speech_start` its first voiced frame.

    `voiced_samples` counts the confirmed speech since the last cut. `draft_edge` is how far the last
    draft looked. `committed_words` are the latest words that were published while it is open.
    """

    number: int
    audio_start: int
    speech_start: int
    voiced_samples: int
    draft_edge: int
    draft_outstanding: bool = False
    committed_words: list[HeardWord] = field(factory=list)

    def is_worth(
        self, samples: int, reason: SegmentReason, *, has_detector: bool, min_audio_samples: int
    ) -> bool:
        """Whether `samples` of audio up to a cut deserve a request.

        Audio too short for any word never does, nor does audio in which a detector heard no voice.
        Short audio does not, unless the client asked (a flush, the end) or enough of it is speech.
        """
        if samples < SHORTEST_SEGMENT_SAMPLES or (has_detector and not self.voiced_samples):
            return False
        return (
            reason in {"flush", "session_end"}
            or samples >= min_audio_samples
            or self.voiced_samples >= WORTH_SPEECH_SAMPLES
        )

    def window(
        self,
        buffer: SampleBuffer,
        start: int,
        end: int,
        tail: npt.NDArray[np.float32] | None = None,
    ) -> Speech:
        """The audio of a request for [start, end): as much context as fits, then that audio.

        `tail` follows the buffer's end, where `end` lies beyond it.
        """
        earliest = max(end - WINDOW_SAMPLES, start - CONTEXT_SAMPLES, buffer.start)
        context = [word for word in self.committed_words if word.start >= earliest]
        first = context[0].start if context else start
        samples = buffer.read(first, end)
        if tail is not None and len(tail):
            samples = np.concatenate((samples, tail))[: end - first]
        return Speech(first, samples, "".join(word.text for word in context).strip())
