"""The cascade over written audio: both detectors take loud samples for voice.

The gate has frames of 20 ms, the judge of 32 ms; the judge notes everything it is made to hear.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttalk_stt.audio.cascade import HANGOVER_SAMPLES, WARM_UP_FRAMES, CascadeVad
from fasttalk_stt.audio.vad import VoiceFrame, VoiceRule
from tests.support import LOUD, LevelDetector

SIZE = 512
RULES = {
    False: VoiceRule(bias=1, onset_evidence=2, resume_evidence=1, keep_probability=0.5),
    True: VoiceRule(bias=3, onset_evidence=2, resume_evidence=1, keep_probability=0.5),
}


class NotingJudge:
    """Takes frames with their peak above 0.05 for voice; `heard` has the start of each frame."""

    frame_samples = SIZE

    def __init__(self) -> None:
        self.sensitivity = 2
        self.heard: list[int] = []
        self.skips: list[int] = []
        self._position = 0

    def set_sensitivity(self, sensitivity: int) -> None:
        self.sensitivity = sensitivity

    def rule(self, *, bot_is_speaking: bool) -> VoiceRule:
        return RULES[bot_is_speaking]

    def skip_to(self, position: int) -> None:
        self.skips.append(position)
        self._position = position

    def push(self, samples: npt.NDArray[np.float32]) -> list[VoiceFrame]:
        assert len(samples) % SIZE == 0
        frames = []
        for at in range(0, len(samples), SIZE):
            probability = 0.9 if np.abs(samples[at : at + SIZE]).max() > LOUD / 2 else 0.2
            start = self._position
            self._position += SIZE
            self.heard.append(start)
            frames.append(VoiceFrame(start, self._position, probability, 0.5))
        return frames


def audio(pattern: str) -> npt.NDArray[np.float32]:
    """'#' is loud, '.' silent; each is a frame of the judge."""
    return np.repeat([LOUD if mark == "#" else 0 for mark in pattern], SIZE).astype(np.float32)


def listen(
    samples: npt.NDArray[np.float32], n_pieces: int = 1
) -> tuple[list[VoiceFrame], NotingJudge]:
    judge = NotingJudge()
    cascade = CascadeVad(LevelDetector(), judge)
    pieces = np.array_split(samples, n_pieces)
    return [frame for piece in pieces for frame in cascade.push(piece)], judge


def test_silence_never_wakes_the_judge() -> None:
    frames, judge = listen(audio("." * 100))
    assert judge.heard == []
    assert [frame.probability for frame in frames] == [0.0] * 100


def test_the_first_loud_frame_is_judged_at_once() -> None:
    frames, _ = listen(audio("." * 20 + "#" * 5))
    assert [frame.probability for frame in frames] == [0.0] * 20 + [0.9] * 5


def test_a_woken_judge_hears_again_what_came_before() -> None:
    _, judge = listen(audio("." * 30 + "#"))
    assert judge.skips == [(30 - WARM_UP_FRAMES) * SIZE]
    assert judge.heard == [i * SIZE for i in range(30 - WARM_UP_FRAMES, 31)]


def test_the_gate_hears_what_is_too_quiet_for_it_alone() -> None:
    whisper = np.full(SIZE, 0.005, dtype=np.float32)
    assert LevelDetector().push(whisper)[0].probability < 0.5
    _, judge = listen(whisper)
    assert judge.heard[-1] == 0


def test_before_the_beginning_there_was_silence_to_hear_again() -> None:
    frames, judge = listen(audio("..#"))
    assert judge.skips == [(2 - WARM_UP_FRAMES) * SIZE]
    assert judge.heard == [i * SIZE for i in range(2 - WARM_UP_FRAMES, 3)]
    assert [(frame.start, frame.probability) for frame in frames] == [
        (0, 0.0),
        (SIZE, 0.0),
        (2 * SIZE, 0.9),
    ]


def test_the_judge_stays_awake_through_a_short_pause_and_sleeps_after_a_long_one() -> None:
    n_awake = HANGOVER_SAMPLES // SIZE
    frames, judge = listen(audio("#" * 5 + "." * (n_awake - 1) + "#" * 5 + "." * 50))
    assert judge.skips == [-WARM_UP_FRAMES * SIZE]
    last_judged = max(frame.end for frame in frames if frame.probability > 0)
    assert (
        0 <= last_judged - ((5 + n_awake - 1 + 5) * SIZE + HANGOVER_SAMPLES) < SIZE + 320
    )  # one frame of each detector
    assert judge.heard[-1] + SIZE == last_judged


def test_what_both_hear_is_as_if_the_judge_had_been_alone() -> None:
    samples = audio("." * 30 + "##.#" * 5 + "." * 60 + "#")
    frames, _ = listen(samples)
    alone = NotingJudge().push(samples)
    assert [f.probability > 0.5 for f in frames] == [f.probability > 0.5 for f in alone]


@settings(max_examples=30)
@given(st.text(alphabet="#.", max_size=120), st.integers(1, 50))
def test_frames_follow_each_other_without_gap_whatever_the_pieces(
    pattern: str, n_pieces: int
) -> None:
    samples = audio(pattern)
    frames, _ = listen(samples, n_pieces)
    at_once, _ = listen(samples)
    assert frames == at_once
    assert [(f.start, f.end) for f in frames] == [
        (i * SIZE, (i + 1) * SIZE) for i in range(len(pattern))
    ]


def test_samples_that_fill_no_frame_wait() -> None:
    cascade = CascadeVad(LevelDetector(), NotingJudge())
    assert cascade.push(np.zeros(SIZE - 1, dtype=np.float32)) == []
    [frame] = cascade.push(np.zeros(1, dtype=np.float32))
    assert (frame.start, frame.end) == (0, SIZE)


@pytest.mark.parametrize("bot_is_speaking", [False, True])
def test_rule_and_sensitivity_are_the_judges(bot_is_speaking: bool) -> None:
    gate, judge = LevelDetector(), NotingJudge()
    cascade = CascadeVad(gate, judge)
    cascade.set_sensitivity(3)
    assert (gate.sensitivity, judge.sensitivity) == (2, 3)
    assert cascade.rule(bot_is_speaking=bot_is_speaking) is RULES[bot_is_speaking]
