"""What the tasks of one connection hand to each other through their channels."""

from __future__ import annotations

import trio
from attrs import field, frozen

from fasttalk_stt.conversation.intake import Frame
from fasttalk_stt.conversation.segments import Draft, Entry, Speculation
from fasttalk_stt.conversation.session import Session
from fasttalk_stt.protocol.client_messages import (
    Configure,
    ContextUpdate,
    FlushBuffer,
    Interrupt,
)
from fasttalk_stt.protocol.server_messages import ServerMessage, SessionEndReason


@frozen(eq=False)
class LiveSession:
    """A session with its two moments: `session_started` is on its way, `session_ended` was sent."""

    session: Session
    begun: trio.Event = field(factory=trio.Event)
    ended: trio.Event = field(factory=trio.Event)


# From the receiver to the listener, in the order they came from the client.


@frozen(eq=False)
class Begin:
    live: LiveSession


@frozen(eq=False)
class Audio:
    live: LiveSession
    frame: Frame


@frozen(eq=False)
class Command:
    live: LiveSession
    message: FlushBuffer | Configure | ContextUpdate | Interrupt


@frozen(eq=False)
class End:
    live: LiveSession
    reason: SessionEndReason


Incoming = Begin | Audio | Command | End

# From the listener to the transcriber.


@frozen(eq=False)
class Work:
    live: LiveSession
    request: Entry | Draft | Speculation


# From all of them to the sender.


@frozen(eq=False)
class Opening:
    """The first message of a session; what follows is stamped with it."""

    live: LiveSession
    message: ServerMessage


@frozen(eq=False)
class Saying:
    """Messages that follow each other, stamped with the session that is open when they are sent."""

    messages: tuple[ServerMessage, ...]


@frozen(eq=False)
class Settling:
    """Messages of the session that follow each other, behind which segments of it may be ready to be
    sent."""

    live: LiveSession
    messages: tuple[ServerMessage, ...] = ()


@frozen(eq=False)
class Closing:
    """The last thing the sender does. Anything queued behind it is dropped."""

    code: int
    reason: str


Outgoing = Opening | Saying | Settling | Closing
