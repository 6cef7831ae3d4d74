"""What the sessions of a server hear with, as its operator chose it. `composition` makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.vad import VoiceDetector
from fasttalk_stt.conversation.backchannels import Backchannels
from fasttalk_stt.conversation.turn_taking import EndpointerMode

JudgeTurn = Callable[[npt.NDArray[np.float32]], Awaitable[float | None]]
"""How likely it is, 0-1, that a speaker is done after float32[n_samples] at 16 kHz; None for no idea."""


@frozen
class Ears:
    """`make_detector` makes the voice detector of a session from its `vad_sensitivity`.

    Without `judge_turn` ends of turns are judged by words and silence alone.
    """

    make_detector: Callable[[int], VoiceDetector]
    endpointer: EndpointerMode
    backchannels: Backchannels
    judge_turn: JudgeTurn | None = None
