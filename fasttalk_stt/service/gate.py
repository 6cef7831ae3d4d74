"""The gates in front of the two ports: each request meets one before anything else happens.

A gate applies the rules of `access` at the current time and remembers what they need between
requests: rates, used tokens, audio taken. It knows nothing of a web framework, and of files only
that somebody else reads them.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from hashlib import sha256

import structlog
import trio
from attrs import evolve

from fasttalk_stt.access.addresses import rate_key
from fasttalk_stt.access.carriers import Request, find_credential
from fasttalk_stt.access.origins import Origins
from fasttalk_stt.access.policy import Policy
from fasttalk_stt.access.principal import Principal, Visitor
from fasttalk_stt.access.rates import Bucket, KeyedBuckets
from fasttalk_stt.access.tokens import UsedTokens
from fasttalk_stt.protocol.errors import RATE_LIMITED, UNAUTHORIZED, ProtocolError

logger = structlog.get_logger(__name__)

AUDIO_BURST_S = 10.0
"""Of audio that a key with a limit may send at once; a guess: a client that was held up for some
seconds catches up, and a replay soon falls to the pace."""


class Gate:
    """The main port's. Open to everybody, without limits, when made without arguments.

    `wall_clock` gives Unix time, which credentials expire by; `clock` the seconds that rates go by.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        origins: Origins | None = None,
        connections_per_minute: int = 0,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._policy = policy or Policy()
        self._origins = origins or Origins(None)
        self._rates: KeyedBuckets[str] | None = None
        if connections_per_minute:
            self._rates = KeyedBuckets(
                rate_per_s=connections_per_minute / 60, burst=connections_per_minute
            )
        self._used = UsedTokens()
        self._audio: dict[Principal, tuple[float, Bucket]] = {}
        self._wall_clock = wall_clock
        self._clock = clock

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a credential."""
        return self._policy.is_open

    def replace(self, policy: Policy) -> None:
        """Go by new credentials from now on. What was counted stays counted."""
        self._policy = policy

    def check_origin(self, request: Request) -> None:
        """Raises ProtocolError (`forbidden_origin`)."""
        self._origins.check(request.origins)

    def cors_headers(self, request: Request) -> dict[str, str]:
        return self._origins.cors_headers(request.origins)

    def identify(self, request: Request) -> Visitor:
        """Tell who sends a request. Raises ProtocolError (`unauthorized`, `rate_limited`)."""
        now_s = self._wall_clock()
        visitor = self._policy.identify(request, now_s)
        if visitor.single_use is not None:
            if self._used.has(visitor.single_use, now_s):
                raise ProtocolError(
                    UNAUTHORIZED,
                    "The token in ?token= has a jti and was used already: it opens one connection. "
                    "Get a fresh one.",
                )
            if self._used.is_full(now_s):
                raise ProtocolError(
                    RATE_LIMITED,
                    "Too many single-use tokens are in use: connect again later, or send a token in "
                    "a header.",
                    retry_after_s=60.0,
                )
        return visitor

    def enter(self, request: Request) -> Visitor:
        """Check a request's origin and credential.

        Refused attempts are counted for their address: whoever goes on after the limit is told to come
        back later. It does not make guessing slower, which credentials of 128 bits and more need not fear;
        valid ones pass whatever else comes from that address. Raises ProtocolError
        (`forbidden_origin`, `unauthorized`, `rate_limited`).
        """
        try:
            self.check_origin(request)
            return self.identify(request)
        except ProtocolError as error:
            address = self._policy.address(request)
            self._count(f"refused:{rate_key(address)}")
            logger.info("refused", code=error.kind.code, address=address)
            raise

    def count(self, visitor: Visitor) -> None:
        """Count a connection of that key, subject or address. Raises ProtocolError (`rate_limited`)."""
        principal = visitor.principal
        if principal.kind == "anonymous":
            principal = evolve(principal, name=rate_key(principal.name))
        self._count(str(principal))

    def redeem(self, visitor: Visitor) -> None:
        """The visitor is in: a token that is good for one connection is used up.

        Nothing may be awaited between `enter` and this, or a token could pass twice.
        """
        if visitor.single_use is not None and visitor.expires_at_s is not None:
            self._used.use(visitor.single_use, visitor.expires_at_s)

    def seconds_left(self, visitor: Visitor) -> float | None:
        """How long the visitor's credential holds by now; None: for good."""
        expires_at_s = self._policy.expires_at_s(visitor)
        return None if expires_at_s is None else max(0.0, expires_at_s - self._wall_clock())

    def is_valid(self, visitor: Visitor) -> bool:
        """Whether somebody who is in still has a credential of this server."""
        return self._policy.is_valid(visitor, self._wall_clock())

    def audio(self, visitor: Visitor) -> Bucket | None:
        """The allowance that all connections of the visitor's key share; None: without a limit."""
        limit = visitor.audio_seconds_per_minute
        if limit is None:
            return None
        known = self._audio.get(visitor.principal)
        if known is None or known[0] != limit:
            # As many as there are keys with a limit: the operator bounds them.
            known = limit, Bucket(rate_per_s=limit / 60, burst=AUDIO_BURST_S)
            self._audio[visitor.principal] = known
        return known[1]

    def _count(self, key: str) -> None:
        wait_s = 0.0 if self._rates is None else self._rates.take(key, self._clock())
        if wait_s:
            raise ProtocolError(
                RATE_LIMITED,
                f"Too many connections in a short time: connect again in {wait_s:.1f} s.",
                retry_after_s=wait_s,
            )


class MonitoringGate:
    """The operators' port's: one token, or open."""

    def __init__(self, token: str | None = None) -> None:
        self._digest = None if token is None else _digest(token)

    @property
    def is_open(self) -> bool:
        return self._digest is None

    def check(self, request: Request) -> None:
        """Raises ProtocolError (`unauthorized`)."""
        if self._digest is None:
            return
        credential = find_credential(request)
        presented = _digest("" if credential is None else credential.text)
        if not hmac.compare_digest(presented, self._digest):
            raise ProtocolError(
                UNAUTHORIZED,
                "This port needs the operators' token. Send Authorization: Bearer MONITORING_TOKEN.",
            )


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
