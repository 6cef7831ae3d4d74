"""What a session wants done: the only language in which pure decisions reach the Trio tasks."""

from __future__ import annotations

from attrs import frozen

from fasttalk_stt.conversation.segments import Draft, Entry, Speculation
from fasttalk_stt.protocol.server_messages import ServerMessage


@frozen
class Say:
    """Send this message."""

    message: ServerMessage


@frozen
class Decode:
    """Have the segment of this entry decoded, and resolve the entry."""

    entry: Entry


@frozen
class Look:
    """Have this draft or speculation decoded, and resolve it."""

    request: Draft | Speculation


@frozen
class Hurry:
    """This request has become more urgent: the speculation is a segment's text, the draft may commit
    words."""

    request: Draft | Speculation


@frozen
class Cancel:
    """Nobody waits for these entries any more."""

    entries: tuple[Entry, ...]


@frozen
class Ready:
    """The head of the queue may have become ready to send."""


Effect = Say | Decode | Look | Hurry | Cancel | Ready
