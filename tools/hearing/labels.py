"""Matching what a session reported with what is known of its recording. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tools.hearing.listening import SessionLog

EARLY_MS = 100.0
"""An onset reported so shortly before the first labelled word heard its breath or lips: it counts as
heard, with a delay below zero."""


@frozen
class Onset:
    """A `voice_activity_detected`: where speech began, where that was decided, what became of it.

    `rejections` are the reasons of its rejections and when they came; `has_text` says whether a
    transcription with text followed under its number.
    """

    utterance: int
    start_ms: float
    detected_ms: float
    rejections: tuple[tuple[float, str], ...]
    has_text: bool

    @property
    def ended_ms(self) -> float:
        """When it was taken back; infinite where it was not."""
        return self.rejections[0][0] if self.rejections else float("inf")


def onsets_of(log: SessionLog) -> list[Onset]:
    found = []
    for each in log.of_type("voice_activity_detected"):
        data = each.message["data"]
        number = data["utterance"]
        found.append(
            Onset(
                utterance=number,
                start_ms=data["audio_start_ms"],
                detected_ms=data["audio_start_ms"] + data["duration_ms"],
                rejections=tuple(
                    (other.at_ms, other.message["data"]["reason"])
                    for other in log.of_type("voice_activity_rejected")
                    if other.message["data"]["utterance"] == number
                ),
                has_text=any(
                    other.message["data"]["text"] and other.message["data"]["utterance"] == number
                    for other in log.of_type("transcription")
                ),
            )
        )
    return found


@frozen
class SpeechVerdict:
    """How labelled speech was noticed.

    `delay_ms` from its first word to the decision, None where there was none in it. `is_open_before`
    says that an utterance was open already as it began (something before it was taken for speech),
    so that no onset of its own could be reported. `n_before` counts the onsets reported before it.
    """

    delay_ms: float | None
    is_open_before: bool
    n_before: int

    @property
    def is_missed(self) -> bool:
        return self.delay_ms is None and not self.is_open_before


def judge_speech(onsets: Sequence[Onset], speech_ms: tuple[float, float]) -> SpeechVerdict:
    """Match onsets, in order, with one stretch of labelled speech."""
    begin_ms, end_ms = speech_ms
    before = [onset for onset in onsets if onset.detected_ms < begin_ms - EARLY_MS]
    inside = [o for o in onsets if begin_ms - EARLY_MS <= o.detected_ms <= end_ms]
    is_open = bool(before) and before[-1].ended_ms > begin_ms
    return SpeechVerdict(
        delay_ms=inside[0].detected_ms - begin_ms if inside and not is_open else None,
        is_open_before=is_open,
        n_before=len(before),
    )


def badly_answered(onsets: Sequence[Onset]) -> int:
    """How many onsets without text were not followed by exactly one rejection."""
    return sum(not onset.has_text and len(onset.rejections) != 1 for onset in onsets)
