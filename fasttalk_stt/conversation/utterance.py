"""The utterance that is open: what it holds, and whether that is worth a request.

`segmenter` decides when it is cut.
"""

from __future__ import annotations

from attrs import define, field

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.audio.vad import VoiceFrame
from fasttalk_stt.conversation.commit import SHORTEST_SEGMENT_SAMPLES
from fasttalk_stt.conversation.segments import Draft, Speculation
from fasttalk_stt.protocol.server_messages import SegmentReason

WORTH_SPEECH_SAMPLES = pipeline_samples(0.1)
"""Confirmed speech that makes a segment worth a transcription however short it is."""
SHORTEST_SPEECH_SAMPLES = pipeline_samples(0.06)
"""Less voice than this between a commit and the endpoint is the end of a word that was committed;
asked about it, the decoder would say its sentence again."""


@define
class OpenUtterance:
    """`audio_start` is where its first segment begins, `speech_start` its first voiced frame.

    `voiced_frames` are those since the last cut, `faint_frames` those that may be voice. `draft` is the
    look whose answer is not there yet, `draft_edge` is how far the last one looked. `speculation` is what
    was asked in the pause that goes on.
    """

    number: int
    audio_start: int
    speech_start: int
    draft_edge: int
    voiced_frames: list[VoiceFrame] = field(factory=list)
    faint_frames: list[VoiceFrame] = field(factory=list)
    draft: Draft | None = None
    speculation: Speculation | None = None

    @property
    def voiced_samples(self) -> int:
        """The confirmed speech since the last cut."""
        return sum(frame.end - frame.start for frame in self.voiced_frames)

    @property
    def maybe_voiced(self) -> tuple[tuple[int, int], ...]:
        """The stretches [start, end) since the last cut in which there may have been voice."""
        stretches: list[tuple[int, int]] = []
        for frame in self.faint_frames:
            if stretches and stretches[-1][1] == frame.start:
                stretches[-1] = (stretches[-1][0], frame.end)
            else:
                stretches.append((frame.start, frame.end))
        return tuple(stretches)

    @property
    def level(self) -> float | None:
        """The mean loudness 0-1 of the voice since the last cut; None where there is none."""
        if not self.voiced_frames:
            return None
        return sum(frame.level for frame in self.voiced_frames) / len(self.voiced_frames)

    def forget_before(self, cut: int) -> None:
        """The audio before a cut was handed out."""
        self.voiced_frames = [frame for frame in self.voiced_frames if frame.start >= cut]
        self.faint_frames = [frame for frame in self.faint_frames if frame.start >= cut]

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
