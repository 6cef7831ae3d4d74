"""The audio of one session on its way in: counted and decoded as it comes, then heard frame by frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from fasttalk_stt.audio.resampling import StreamResampler
from fasttalk_stt.audio.timeline import PipelineSample, Timeline
from fasttalk_stt.conversation.arrivals import ArrivalLog
from fasttalk_stt.conversation.ledger import Ledger, Outcome
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.pcm import PcmDecoder

REPLAY_AHEAD_S = 1.0
"""A client that has sent this much more than a microphone would have is faster than real time."""
CATCH_UP_S = 30.0
"""So much more may have been sent where a session goes on: what the lost connection left unsettled comes
at once, and whoever waits for its text is as live as before."""

Samples = npt.NDArray[np.float32]


@frozen(eq=False)
class Frame:
    """One binary message as the receiver admitted it: float32[n] at the client's rate.

    The samples of a rejected frame are silence; their place in time is kept.
    """

    samples: Samples
    arrived_at_s: float


class Intake:
    """What was received and how far it was heard. `config` is what the session began with: what it says of
    the audio never changes."""

    def __init__(self, config: SessionConfig, ledger: Ledger, timeline: Timeline) -> None:
        self._rate_hz = config.sample_rate
        self._ahead_s = REPLAY_AHEAD_S if config.resume is None else CATCH_UP_S
        self._ledger = ledger
        self._timeline = timeline
        self._decoder = PcmDecoder(config.encoding, config.sample_rate)
        self._resampler = StreamResampler(config.sample_rate)
        self._first_frame_s: float | None = None
        self.heard: int = timeline.origin
        """On the session's clock; behind what was received by the frames in between."""
        self.arrivals = ArrivalLog()

    @property
    def edge(self) -> PipelineSample:
        """How far was heard, on the pipeline's clock."""
        return self._timeline.to_pipeline(self.heard)

    @property
    def received_s(self) -> float:
        return self._ledger.received / self._rate_hz

    @property
    def unheard_s(self) -> float:
        """Audio received that waits to be heard."""
        return (self._ledger.received - self.heard) / self._rate_hz

    def is_live(self, now_s: float) -> bool:
        """Whether the client sends no faster than real time."""
        if self._first_frame_s is None:
            return True
        sent_s = (self._ledger.received - self._timeline.origin) / self._rate_hz
        return sent_s <= now_s - self._first_frame_s + self._ahead_s

    def decode(self, raw: bytes, now_s: float) -> tuple[list[Frame], ProtocolError | None]:
        """Count a message's audio and decode it.

        A message that is rejected is discarded and becomes silence, in pieces of at most 1 s: it may
        be far longer, and hearing it must not hold the event loop.
        """
        n_samples = self._decoder.whole_samples(raw)
        start = self._ledger.received
        self._ledger.receive(n_samples)
        if self._first_frame_s is None:
            self._first_frame_s = now_s
        try:
            return [Frame(self._decoder.decode(raw), now_s)], None
        except ProtocolError as error:
            self._ledger.settle(start, start + n_samples, Outcome.DISCARDED)
            stand_in = np.zeros(n_samples, dtype=np.float32)
            piece = self._rate_hz
            pieces = (stand_in[i : i + piece] for i in range(0, n_samples, piece))
            return [Frame(samples, now_s) for samples in pieces], error

    def hear(self, frame: Frame) -> Samples:
        """The next frame as float32[n] at 16 kHz; n is 0 where the resampler waits for more."""
        start = self.edge
        self.heard += len(frame.samples)
        self.arrivals.add(start, self.edge, frame.arrived_at_s)
        return self._resampler.push(frame.samples)

    def tail(self) -> Samples:
        """What the resampler holds back, as it would be if nothing followed."""
        return self._resampler.tail()
