"""Decides who a request is from, and whether that is enough. Made anew when files are read again."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fasttalk_stt.access.addresses import client_address
from fasttalk_stt.access.api_keys import ApiKey, KeyRing
from fasttalk_stt.access.carriers import Credential, Request, find_credential
from fasttalk_stt.access.principal import Principal, Visitor
from fasttalk_stt.access.tokens import UNKNOWN_CREDENTIAL, TokenVerifier
from fasttalk_stt.protocol.errors import UNAUTHORIZED, ProtocolError


@frozen
class Policy:
    """Credentials of a server; with neither keys nor tokens it is open.

    `query_max_s` is how far the `exp` of a token in the address may lie ahead.
    """

    keys: KeyRing | None = None
    tokens: TokenVerifier | None = None
    query_max_s: float = 300.0
    trusted_proxies: Sequence[str] = ()

    @property
    def is_open(self) -> bool:
        return self.keys is None and self.tokens is None

    def address(self, request: Request) -> str:
        return client_address(request, self.trusted_proxies)

    def identify(self, request: Request, now_s: float) -> Visitor:
        """Tell who sends a request; `now_s` is Unix time.

        Raises ProtocolError (`unauthorized`).
        """
        if self.is_open:
            return Visitor(Principal("anonymous", self.address(request)))
        credential = find_credential(request)
        if credential is None:
            raise ProtocolError(
                UNAUTHORIZED,
                "No credential came. Send Authorization: Bearer CREDENTIAL, or offer the "
                "subprotocols fasttalk and bearer.CREDENTIAL.",
            )
        if credential.carrier == "query":
            return self._by_query(credential, now_s)
        found = None if self.keys is None else self.keys.find(credential.text)
        if found is not None:
            return self._by_key(*found, now_s)
        return self._by_token(credential)

    def is_valid(self, visitor: Visitor, now_s: float) -> bool:
        """Whether somebody who was let in before would be let in now."""
        if visitor.credential_id is None:
            return self.is_open
        if visitor.principal.kind == "token":
            return self.tokens is not None and self.tokens.has_key(visitor.credential_id)
        key = None if self.keys is None else self.keys.get(visitor.credential_id)
        if key is None or key.name != visitor.principal.name:
            return False
        return key.expires_at_s is None or key.expires_at_s > now_s

    def expires_at_s(self, visitor: Visitor) -> float | None:
        """Until when (Unix time) the credential of somebody who is in holds by now; None: for good."""
        if visitor.principal.kind != "key" or self.keys is None or visitor.credential_id is None:
            return visitor.expires_at_s
        key = self.keys.get(visitor.credential_id)
        return visitor.expires_at_s if key is None else key.expires_at_s

    def _by_key(self, digest: str, key: ApiKey, now_s: float) -> Visitor:
        if key.expires_at_s is not None and key.expires_at_s <= now_s:
            raise ProtocolError(
                UNAUTHORIZED, "The API key has expired. Ask the operator for another."
            )
        return Visitor(
            Principal("key", key.name),
            credential_id=digest,
            expires_at_s=key.expires_at_s,
            max_connections=key.max_connections,
            audio_seconds_per_minute=key.audio_seconds_per_minute,
        )

    def _by_token(self, credential: Credential) -> Visitor:
        if self.tokens is None:
            raise ProtocolError(UNAUTHORIZED, UNKNOWN_CREDENTIAL)
        token = self.tokens.verify(credential.text)
        return Visitor(
            Principal("token", token.subject),
            credential_id=token.key_id,
            expires_at_s=token.expires_at_s,
        )

    def _by_query(self, credential: Credential, now_s: float) -> Visitor:
        """Addresses are written into logs and histories on the way, so what they carry must be a
        token, soon worthless, and with a `jti` worthless once it was used."""
        if self.tokens is None:
            raise ProtocolError(
                UNAUTHORIZED,
                "?token= takes a short-lived JSON Web Token only, and this server knows none. Send "
                "Authorization: Bearer KEY.",
            )
        token = self.tokens.verify(credential.text)
        if token.exp_s - now_s > self.query_max_s:
            raise ProtocolError(
                UNAUTHORIZED,
                f"The token in ?token= expires in {token.exp_s - now_s:.0f} s, expected at most "
                f"{self.query_max_s:g} s. Get a short-lived one, or send it in a header.",
            )
        return Visitor(
            Principal("token", token.subject),
            credential_id=token.key_id,
            expires_at_s=token.expires_at_s,
            single_use=token.single_use,
        )
