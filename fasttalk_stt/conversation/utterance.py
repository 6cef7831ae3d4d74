"""The utterance that is open: what it holds, whether that is worth a request, and what audio to send.

`segmenter` decides when it is cut; the words it already committed serve the next request as context.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import define, field

from fasttalk_stt.audio.buffer import SampleBuffer
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import FRAME_SAMPLES
from fasttalk_stt.conversation.commit import SHORTEST_SEGMENT_SAMPLES
from fasttalk_stt.conversation.recent import CONTEXT_SAMPLES, RecentWords
from fasttalk_stt.conversation.segments import HeardWord, Speech
from fasttalk_stt.protocol.server_messages import SegmentReason

WORTH_SPEECH_SAMPLES = pipeline_samples(0.1)
"""Confirmed speech that makes a segment worth a transcription however short it is."""
SHORTEST_SPEECH_SAMPLES = pipeline_samples(0.06)
"""Less voice than this between a commit and the endpoint is the end of a word that was committed;
asked about it, the decoder would say its sentence again."""
WINDOW_SAMPLES = pipeline_samples(28.0)
"""The longest request; Whisper's window is 30 s."""


@define
class OpenUtterance:
    """`audio_start` is where its first segment begins, `speech_start` its first voiced frame.

    `voiced_frames` are the starts of the voiced frames since the last cut. `draft_edge` is how far the last
    draft looked, `draft_words` are the words it found and did not commit.
    """

    number: int
    audio_start: int
    speech_start: int
    draft_edge: int
    voiced_frames: list[int] = field(factory=list)
    draft_outstanding: bool = False
    draft_words: tuple[HeardWord, ...] = ()

    @property
    def voiced_samples(self) -> int:
        """The confirmed speech since the last cut."""
        return len(self.voiced_frames) * FRAME_SAMPLES

    def forget_before(self, cut: int) -> None:
        """The audio before a cut was handed out."""
        self.voiced_frames = [start for start in self.voiced_frames if start >= cut]

    def is_worth(
        self, samples: int, reason: SegmentReason, *, has_detector: bool, min_audio_samples: int
    ) -> bool:
        """Whether `samples` of audio up to a cut deserve a request.

        Audio too short for any word never does, nor does audio in which a detector heard
        hardly any voice.
        Short audio does not, unless the client asked (a flush, the end) or enough of it is speech.
        """
        if samples < SHORTEST_SEGMENT_SAMPLES:
            return False
        if has_detector and self.voiced_samples < SHORTEST_SPEECH_SAMPLES:
            return False
        return (
            reason in {"flush", "session_end"}
            or samples >= min_audio_samples
            or self.voiced_samples >= WORTH_SPEECH_SAMPLES
        )


def request_audio(
    buffer: SampleBuffer,
    recent: RecentWords,
    start: int,
    end: int,
    *,
    tail: npt.NDArray[np.float32] | None = None,
    language: str | None = None,
    vocabulary: tuple[str, ...] = (),
) -> Speech:
    """The audio of a request for [start, end): as much context as fits, then that audio.

    `tail` follows the buffer's end, where `end` lies beyond it.
    """
    earliest = max(end - WINDOW_SAMPLES, start - CONTEXT_SAMPLES, buffer.start)
    context = recent.before(start, earliest=earliest)
    first = min(context[0].start, start) if context else start
    samples = buffer.read(first, end)
    if tail is not None and len(tail):
        samples = np.concatenate((samples, tail))[: end - first]
    text = "".join(word.text for word in context).strip()
    return Speech(
        first,
        samples,
        context_samples=start - first,
        context_text=text,
        language=language,
        vocabulary=vocabulary,
    )
