"""What a segmenter says, beside the segments and drafts themselves."""

from __future__ import annotations

from attrs import frozen

from fasttalk_stt.audio.endpointer import SpeechStarted
from fasttalk_stt.conversation.segments import Draft, Heard, Segment, Speculation


@frozen
class Onset:
    """An utterance was opened; `started` says where and how surely."""

    utterance: int
    started: SpeechStarted


@frozen
class Silence:
    """Audio in which nothing was said and which no utterance needs any more."""

    start: int
    end: int


@frozen
class Resumed:
    """After a pause the open utterance goes on: what was made of it in the pause is void."""

    utterance: int


@frozen
class Committed:
    """Words of an open utterance that will not change, and the segment they fill."""

    segment: Segment
    heard: Heard


@frozen
class Due:
    """So much is open by now that the answer to this draft, which is not there yet, may commit words."""

    draft: Draft


SegmenterEvent = Onset | Silence | Resumed | Segment | Draft | Due | Speculation
