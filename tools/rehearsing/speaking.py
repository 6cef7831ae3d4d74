"""One client of the library that speaks a conversation in real time, and what came back of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import trio
from attrs import define, field

from fasttalk_stt.client import (
    ClientSettings,
    Error,
    Resumed,
    Session,
    SessionEnded,
    SessionOptions,
    SttError,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
    connect,
)
from tools.hearing.audio import RATE_HZ, Audio

FRAME_SAMPLES = 512


@define
class Spoken:
    """What one client was told. `failure` is why it has no end; `outages_s` how long it was without a
    connection, each time; `resume_s` the same."""

    texts: list[str] = field(factory=list)
    onsets: Counter[int] = field(factory=Counter)
    answered: set[int] = field(factory=set)
    rejected: Counter[int] = field(factory=Counter)
    errors: list[str] = field(factory=list)
    outages: list[tuple[str, float]] = field(factory=list)
    ended: SessionEnded | None = None
    failure: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word for text in self.texts for word in text.split())

    def note(self, event: object) -> None:
        match event:
            case Transcription(data=data):
                self.texts.append(data.text)
                if data.text:
                    self.answered.add(data.utterance)
            case VoiceActivityDetected(data=onset):
                self.onsets[onset.utterance] += 1
            case VoiceActivityRejected(data=rejection):
                self.rejected[rejection.utterance] += 1
            case Error(error=error):
                self.errors.append(error.code)
            case Resumed(reason=reason, outage_s=outage_s):
                self.outages.append((reason, outage_s))
            case SessionEnded():
                self.ended = event

    def violations(self) -> list[str]:
        """The promises of the protocol that were broken, whatever happened on the way."""
        found = []
        if self.failure is not None:
            found.append(f"failed: {self.failure}")
        if any(count > 1 for count in self.onsets.values()):
            found.append("an onset was reported twice")
        for utterance in self.onsets:
            n_answers = (utterance in self.answered) + self.rejected[utterance]
            if n_answers != 1:
                found.append(f"onset {utterance} has {n_answers} answers")
        if self.ended is not None:
            audio = self.ended.audio
            parts = (
                audio.transcribed_ms + audio.silence_ms + audio.discarded_ms + audio.unsettled_ms
            )
            if parts != audio.received_ms:
                found.append(f"received {audio.received_ms} ms, outcomes {parts} ms")
        return found


async def speak(
    url: str,
    samples: Audio,
    *,
    settings: ClientSettings | None = None,
    **options: Any,
) -> Spoken:
    """Say all of it at the pace of a microphone, end the session, and return what came back."""
    spoken = Spoken()
    config = SessionOptions(language="en", fasttalk_mode=True, **options)
    try:
        async with (
            connect(url, config=config, settings=settings) as session,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_listen, session, spoken)
            await _say(session, samples)
            await session.end()
    except* SttError as group:
        spoken.failure = "; ".join(str(error) for error in _leaves(group))
    return spoken


async def _say(session: Session, samples: Audio) -> None:
    began_s = trio.current_time()
    for start in range(0, len(samples), FRAME_SAMPLES):
        frame = samples[start : start + FRAME_SAMPLES]
        await trio.sleep_until(began_s + (start + len(frame)) / RATE_HZ)
        await session.send_audio(frame)


async def _listen(session: Session, spoken: Spoken) -> None:
    async for event in session:
        spoken.note(event)


def _leaves(group: BaseExceptionGroup[SttError]) -> Sequence[SttError]:
    leaves: list[SttError] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
