"""Drives one session as the four tasks would, without tasks: a test decides who acts when."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.backchannels import Backchannels
from fasttalk_stt.conversation.effects import Cancel, Decode, Effect, Hurry, Look, Say
from fasttalk_stt.conversation.publisher import Publication
from fasttalk_stt.conversation.segmenter import SegmenterLimits
from fasttalk_stt.conversation.segments import (
    Draft,
    Entry,
    Failure,
    Heard,
    HeardWord,
    Speculation,
    Speech,
)
from fasttalk_stt.conversation.session import Session
from fasttalk_stt.conversation.turn_taking import EndpointerMode
from fasttalk_stt.protocol.codec import encode_server_message
from fasttalk_stt.protocol.config import SessionConfig, read_session_config
from fasttalk_stt.protocol.errors import TRANSCRIPTION_FAILED, ProtocolError
from fasttalk_stt.protocol.server_messages import Metadata, ServerMessage, Transcription
from tests.contract import check_sent
from tests.support import NOON, LevelDetector

FAILURE = Failure(ProtocolError(TRANSCRIPTION_FAILED, "the engine failed"))
FRAME_SAMPLES = 512
BACKCHANNELS = Backchannels({"en": frozenset({"mm-hm", "yeah"})})


def words_in(start: int, end: int, *, word_samples: int = 6_400) -> Heard:
    """One word for every 400 ms of [start, end), named by its place."""
    return Heard(
        words=tuple(
            HeardWord(f" w{at // 160}", at, min(at + word_samples, end), 0.9)
            for at in range(start, end, word_samples)
        ),
        language="en",
        language_confidence=1.0,
        compute_ms=10.0,
    )


class Driver:
    """A session, what it wants decoded, and everything it has sent, in order.

    `wanted` are closed segments without their text, whether that was asked for in the pause before
    their end or at it; `speculations` are requests of pauses that go on or went by.
    """

    def __init__(
        self,
        *,
        endpointer: EndpointerMode = "silence",
        speculates: bool = True,
        **config: object,
    ) -> None:
        checked, ignored = read_session_config(config, SessionConfig())
        self.session = Session(
            checked,
            session_id="s",
            ignored_fields=ignored,
            limits=SegmenterLimits(
                pipeline_samples(0.5), pipeline_samples(2.0), endpointer, speculates
            ),
            detector=LevelDetector(),
            backchannels=BACKCHANNELS,
            model="fake",
            wall_clock=lambda: NOON,
        )
        self.now_s = 100.0
        self.wanted: list[Entry] = []
        self.drafts: list[Draft] = []
        self.answered: list[Speech] = []
        self.speculations: list[Speculation] = []
        self.cancelled: list[Entry] = []
        self._decoded_alone: set[Entry] = set()
        self.n_failed_flushes = 0
        self.sent: list[tuple[ServerMessage, Metadata]] = []
        self._leaving: list[Publication] = []
        self._behind: list[ServerMessage] = []
        self.errors: list[ProtocolError] = []
        self.do(self.session.begin())

    def do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say(message=message) if self._leaving:
                    self._behind.append(message)
                case Say(message=message):
                    self._send(message)
                case Decode(entry=entry):
                    self.wanted.append(entry)
                case Look(request=Draft() as draft):
                    self.drafts.append(draft)
                case Look(request=Speculation() as speculation):
                    self.speculations.append(speculation)
                case Hurry(request=Draft() as draft):
                    assert draft.may_commit
                case Hurry(request=Speculation() as speculation):
                    assert speculation.adopted_by is not None
                    self.speculations.remove(speculation)
                    self.wanted.append(speculation.adopted_by)
                case Cancel(entries=entries):
                    self.cancelled.extend(entries)

    def hear(self, samples: npt.NDArray[np.float32], *, frame: int = FRAME_SAMPLES) -> None:
        for start in range(0, len(samples), frame):
            self.hear_raw(samples[start : start + frame].tobytes())

    def hear_raw(self, raw: bytes) -> None:
        frames, error = self.session.admit(raw, self.now_s)
        if error is not None:
            self.errors.append(error)
        for frame in frames:
            self.do(self.session.hear(frame, self.now_s))
        self.now_s += 0.032

    def resolve(self, entry: Entry, outcome: Heard | Failure | None = None) -> None:
        """Give an entry its outcome (by default words all along it) and send what is ready."""
        self.wanted.remove(entry)
        self.n_failed_flushes += isinstance(outcome, Failure) and entry.segment.answers_flush
        segment, speculation = entry.segment, entry.segment.speculation
        if speculation is None or entry in self._decoded_alone:
            outcome = words_in(segment.start, segment.end) if outcome is None else outcome
            self.do(self.session.answers.resolve(entry, outcome, self.now_s))
            return
        if isinstance(outcome, Failure):
            # A speculation that fails is tried once more, as the segment's own request.
            self._decoded_alone.add(entry)
            self.do(self.session.answers.resolve_speculation(speculation, None, self.now_s))
            if entry in self.wanted:
                self.resolve(entry, outcome)
            return
        heard = words_in(segment.start, speculation.segment.end) if outcome is None else outcome
        self.do(self.session.answers.resolve_speculation(speculation, heard, self.now_s))

    def speculate(self, heard: Heard | None = None, *, failed: bool = False) -> None:
        """Answer the latest speculation while its pause goes on, by default with words all along."""
        speculation = self.speculations.pop()
        if heard is None and not failed:
            heard = words_in(speculation.segment.start, speculation.segment.end)
        self.do(self.session.answers.resolve_speculation(speculation, heard, self.now_s))

    def look(self, heard: Heard | None = None, *, failed: bool = False) -> None:
        """Answer the oldest draft, by default with words all along it."""
        draft = self.drafts.pop(0)
        self.answered.append(draft.speech)
        if heard is None and not failed:
            heard = words_in(draft.start, draft.edge)
        self.do(self.session.answers.resolve_draft(draft, heard, self.now_s))

    def send_ready(self, most: int | None = None) -> None:
        """Send what is ready, as the sender does: after `most` publications of the last entry it waits
        for its socket, and something else may happen; other messages leave behind that entry."""
        publisher = self.session.publisher
        while True:
            while self._leaving:
                if most == 0:
                    return
                publication = self._leaving.pop(0)
                publisher.settle(publication)
                if publication.message is not None:
                    self._send(publication.message)
                most = None if most is None else most - 1
            while self._behind:
                self._send(self._behind.pop(0))
            publications = publisher.take_ready(self.now_s)
            if publications is None:
                return
            self._leaving = list(publications)

    def end(self) -> None:
        """End the session, let the engine answer everything, send everything."""
        self.do(self.session.end("end_session", self.now_s))
        while self.drafts:
            self.look()
        for entry in list(self.wanted):
            if not entry.cancelled:
                self.resolve(entry)
        self.send_ready()

    def _send(self, message: ServerMessage) -> None:
        stamp = self.session.stamp("2024-01-15T12:00:00.000Z")
        check_sent(encode_server_message(message, stamp))
        self.sent.append((message, stamp))

    @property
    def messages(self) -> list[ServerMessage]:
        return [message for message, _ in self.sent]

    @property
    def types(self) -> list[str]:
        return [message.type for message in self.messages]

    @property
    def finals(self) -> list[Transcription]:
        return [m for m in self.messages if isinstance(m, Transcription)]

    def of_type(self, kind: str) -> list[ServerMessage]:
        return [message for message in self.messages if message.type == kind]
