"""What was said to the server and may have to be said again: audio and commands, in their order.

Pure. Everything before `committed_ms` has its outcome; of that, `keep_ms` of audio stay, because a
server that takes over wants to hear what came before. Positions are samples since the session's
start; sample = floor(ms x rate / 1000), as the protocol says.
"""

from __future__ import annotations

from attrs import define, frozen

from fasttalk_stt.protocol.client_messages import ClientMessage

KEEP_MS = 2_000
"""Of audio that has its outcome, sent again for the voice detector and the decoder to warm up on."""


@define(eq=False)
class Command:
    """A message with its place in the audio: after the samples before `position`.

    One whose effect lasts (a configuration, a context) stays after it was `answered`, until the
    audio behind which it stands is settled: a replay passes it once more.
    """

    message: ClientMessage
    position: int = 0
    answered: bool = False


@frozen
class Audio:
    """A stretch of audio to send, whole samples."""

    start: int
    end: int
    data: bytes


@frozen
class Replay:
    """Where a new connection begins: its first audio, and the lasting commands that go before it."""

    audio_from_ms: int
    lasting: tuple[Command, ...]


class ReplayBuffer:
    """Holds what is unsent or unsettled. Its bound is kept by whoever adds to it (`unsettled_s`)."""

    def __init__(
        self,
        *,
        sample_rate_hz: int,
        bytes_per_sample: int,
        keep_ms: int = KEEP_MS,
        join_ms: int = 500,
    ) -> None:
        """`join_ms`: frames that wait are sent together up to this length; at most 1000."""
        self._rate_hz = sample_rate_hz
        self._width = bytes_per_sample
        self._keep_ms = keep_ms
        self._join = max(1, sample_rate_hz * join_ms // 1000)
        self._audio = bytearray()
        self._base = 0
        self._end = 0
        self._at = 0
        self._lead_until = 0
        self._committed_ms = 0
        self._commands: list[Command] = []
        self._next_command = 0

    @property
    def committed_ms(self) -> int:
        return self._committed_ms

    @property
    def end_ms(self) -> int:
        """All audio so far, rounded down."""
        return self._end * 1000 // self._rate_hz

    @property
    def unsettled_s(self) -> float:
        """Audio that is unsent or has no outcome yet."""
        return (self._end - self.sample_of(self._committed_ms)) / self._rate_hz

    @property
    def held_bytes(self) -> int:
        return len(self._audio)

    def ms_of(self, position: int) -> int:
        """A position in milliseconds, rounded down as the server's stamps are."""
        return position * 1000 // self._rate_hz

    def add_audio(self, data: bytes | memoryview) -> None:
        """Append whole samples.

        Raises ValueError where the length is no whole number of them.
        """
        if len(data) % self._width:
            raise ValueError(
                f"{len(data)} bytes are no whole number of samples of {self._width} bytes"
            )
        self._audio += data
        self._end += len(data) // self._width

    def add_command(self, message: ClientMessage) -> Command:
        """Append a message that keeps its place behind the audio so far."""
        command = Command(message, self._end)
        self._commands.append(command)
        return command

    def next(self) -> Audio | Command | None:
        """Take the next thing to send; None where everything was sent."""
        limit = min(self._end, self._at + self._join)
        if self._at < self._lead_until:
            limit = min(limit, self._lead_until)
        elif self._next_command < len(self._commands):
            command = self._commands[self._next_command]
            if command.position <= self._at:
                self._next_command += 1
                return command
            limit = min(limit, command.position)
        if limit <= self._at:
            return None
        start, self._at = self._at, limit
        low, high = (start - self._base) * self._width, (limit - self._base) * self._width
        return Audio(start, limit, bytes(self._audio[low:high]))

    def commit(self, committed_ms: int) -> list[Command]:
        """Audio before this has its outcome: forget it, but for the last `keep_ms`.

        Returns the lasting commands that lie behind it now, were answered, and passed on this
        connection, in their order: their effect belongs to the start of the next one, and they are
        forgotten here.
        """
        self._committed_ms = max(self._committed_ms, min(committed_ms, self.ms_of(self._at)))
        keep_from = min(self.sample_of(max(0, self._committed_ms - self._keep_ms)), self._at)
        if keep_from > self._base:
            del self._audio[: (keep_from - self._base) * self._width]
            self._base = keep_from
        return self._settled_commands(self._next_command)

    def forget(self, command: Command) -> None:
        """It was answered and needs never be sent again."""
        index = self._commands.index(command)
        del self._commands[index]
        if index < self._next_command:
            self._next_command -= 1

    def rewind(self) -> Replay:
        """Start over for a new connection.

        Commands that stand before `committed_ms` are sent once the audio before it was: that audio
        is only listened to.
        """
        lasting = self._settled_commands(len(self._commands))
        audio_from_ms = max(0, self._committed_ms - self._keep_ms)
        self._at = self.sample_of(audio_from_ms)
        self._lead_until = self.sample_of(self._committed_ms)
        self._next_command = 0
        return Replay(audio_from_ms, tuple(lasting))

    def _settled_commands(self, limit: int) -> list[Command]:
        """Take out the answered ones at the head, before `committed_ms`, `limit` at most."""
        committed = self.sample_of(self._committed_ms)
        lasting: list[Command] = []
        while len(lasting) < limit and self._commands:
            first = self._commands[0]
            if not first.answered or first.position > committed:
                break
            lasting.append(first)
            self.forget(first)
        return lasting

    def sample_of(self, position_ms: int) -> int:
        """A position in samples; the first of its millisecond."""
        return position_ms * self._rate_hz // 1000
