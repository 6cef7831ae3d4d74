"""Who stands behind a connection, and what they may take.

Made by `policy` from what a request carries; known to the connection, the registry of sessions and
the log. Nothing in here is secret: a `credential_id` is a digest.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen


@frozen
class Principal:
    """An identity.

    `name` is the name of an API key, the `sub` of a token, or the address of somebody unknown.
    """

    kind: Literal["key", "token", "anonymous"] = "anonymous"
    name: str = "local"

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def may_take_over(self, owner: Principal) -> bool:
        """Whether this one may go on with a session of `owner` on another connection.

        Where nobody has to say who they are, whoever knows a session's id may: a client that resumes
        often comes from another address, after a change of networks or of backends.
        """
        return self == owner or self.kind == owner.kind == "anonymous"


ANONYMOUS = Principal()
"""Somebody without an address, such as the command line's own connection."""


@frozen
class Visitor:
    """One admitted request.

    `expires_at_s` is on the wall clock (Unix time), None where the credential does not expire.
    `max_connections` counts those of the same principal; None: no limit of its own.
    `audio_seconds_per_minute` is for all of them together; None: as much as the server takes.
    `single_use` names a token that must not come again.
    """

    principal: Principal = ANONYMOUS
    credential_id: str | None = None
    expires_at_s: float | None = None
    max_connections: int | None = None
    audio_seconds_per_minute: float | None = None
    single_use: str | None = None


LOCAL_VISITOR = Visitor()
