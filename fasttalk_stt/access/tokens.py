"""JSON Web Tokens: which keys they are checked with, and what is demanded of them.

PyJWT does the cryptography and the registered claims. The algorithm is that of the configured key,
never the token's word: a shared secret means HS256, an RSA key RS256, a P-256 key ES256.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import jwt
from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from fasttalk_stt.access.api_keys import AccessError
from fasttalk_stt.protocol.errors import UNAUTHORIZED, ProtocolError

MIN_SECRET_BYTES = 32
"""As long as the hash of HS256 (RFC 7518, section 3.2): a shorter one can be guessed offline."""
MIN_RSA_BITS = 2_048
MAX_JWKS_KEYS = 32
"""A token without a `kid` is tried with each, as is a key without one on each token."""
MAX_SUBJECT_CHARS = 128
_LATEST_S = 253_402_300_799.0
"""The last second of the year 9999: times beyond are cut to it."""

UNKNOWN_CREDENTIAL = "The credential is no API key or token of this server."
_PUBLIC_KEYS = "expected an RSA key of 2048 bits or more (RS256) or a P-256 key (ES256)"


@frozen
class VerifyingKey:
    """A key with the one algorithm it is for; `id` is a digest of it."""

    id: str
    algorithm: str
    key: Any = field(repr=False, eq=False)
    kid: str | None = None


@frozen
class Token:
    """What a valid token says. `expires_at_s` is Unix time, with the leeway; `exp_s` without."""

    subject: str
    expires_at_s: float
    exp_s: float
    key_id: str
    single_use: str | None


def secret_key(secret: str) -> VerifyingKey:
    """Use a shared secret. Raises AccessError."""
    raw = secret.encode()
    if "-----BEGIN" in secret:
        raise AccessError("is a PEM key, expected a shared secret: use JWT_PUBLIC_KEY_FILE")
    if len(raw) < MIN_SECRET_BYTES:
        raise AccessError(
            f"has {len(raw)} bytes, expected at least {MIN_SECRET_BYTES} random ones, as from "
            "'openssl rand -base64 48'"
        )
    return VerifyingKey(_key_id("HS256", raw), "HS256", raw)


def pem_key(text: str) -> VerifyingKey:
    """Use a public key in PEM. Raises AccessError."""
    if "PRIVATE KEY-----" in text:
        raise AccessError(
            "holds a private key, which this server must not have: store the public one"
        )
    try:
        public = load_pem_public_key(text.encode())
    except Exception as error:  # noqa: BLE001 (cryptography documents three kinds and raises more)
        raise AccessError(f"is not a public key in PEM ({type(error).__name__})") from None
    return _public(public, None)


def jwks_keys(text: str) -> tuple[VerifyingKey, ...]:
    """Use the signature keys of a JSON Web Key Set (RFC 7517). Raises AccessError."""
    try:
        listed = json.loads(text)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise AccessError('is not a JWK set, expected JSON {"keys": [...]}') from None
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_JWKS_KEYS:
        raise AccessError(f"expected 1-{MAX_JWKS_KEYS} keys in the set")
    return tuple(_jwk(number, each) for number, each in enumerate(listed, start=1))


def _jwk(number: int, listed: object) -> VerifyingKey:
    if not isinstance(listed, dict) or listed.get("kty") not in {"RSA", "EC"}:
        # A symmetric key in a file that is public by its nature would be a secret for everybody.
        raise AccessError(f"key {number}: {_PUBLIC_KEYS}")
    kid = listed.get("kid")
    if listed.get("use", "sig") != "sig" or not (kid is None or isinstance(kid, str)):
        raise AccessError(f'key {number}: expected a key with "use": "sig" and a text as "kid"')
    # Private members are left out: a public key is made even of a private one.
    public = {
        name: value for name, value in listed.items() if name in {"kty", "crv", "x", "y", "n", "e"}
    }
    try:
        made = _public(jwt.PyJWK.from_dict(public).key, kid)
    except AccessError as error:
        raise AccessError(f"key {number}: {error}") from None
    except Exception:  # noqa: BLE001 (PyJWT and cryptography raise many kinds on broken members)
        raise AccessError(f"key {number} cannot be read: {_PUBLIC_KEYS}") from None
    if listed.get("alg", made.algorithm) != made.algorithm:
        raise AccessError(f"key {number} is for another algorithm: {_PUBLIC_KEYS}")
    return made


def _public(key: object, kid: str | None) -> VerifyingKey:
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        algorithm = "RS256"
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        algorithm = "ES256"
    else:
        raise AccessError(_PUBLIC_KEYS)
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerifyingKey(_key_id(algorithm, raw), algorithm, key, kid)


def _key_id(algorithm: str, raw: bytes) -> str:
    return sha256(algorithm.encode() + b"\0" + raw).hexdigest()


class TokenVerifier:
    """Checks tokens against the configured keys and demands."""

    def __init__(
        self,
        keys: Sequence[VerifyingKey],
        *,
        audience: str | None = None,
        issuer: str | None = None,
        leeway_s: float = 30.0,
    ) -> None:
        self._keys = tuple(keys)
        self._audience = audience
        self._issuer = issuer
        self._leeway_s = leeway_s

    def has_key(self, key_id: str) -> bool:
        return any(key.id == key_id for key in self._keys)

    def verify(self, text: str) -> Token:
        """Verify a token now, by the wall clock. Raises ProtocolError (`unauthorized`).

        What is wrong with a token is told only if its signature is right.
        """
        failure = UNKNOWN_CREDENTIAL
        for key in self._candidates(text):
            try:
                return self._read(text, key)
            except jwt.ExpiredSignatureError:
                failure = "The token has expired. Get a fresh one and connect again."
            except jwt.ImmatureSignatureError:
                failure = "The token is not valid yet (nbf or iat): compare the clocks."
            except jwt.InvalidAudienceError:
                failure = "The token is for another audience (aud) than this server's."
            except jwt.InvalidIssuerError:
                failure = "The token is from another issuer (iss) than this server trusts."
            except jwt.MissingRequiredClaimError as error:
                failure = f"The token has no {error.claim}, which this server demands."
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
                # Forged, or no token at all.
                continue
            break
        raise ProtocolError(UNAUTHORIZED, failure)

    def _candidates(self, text: str) -> list[VerifyingKey]:
        if len(self._keys) == 1 and self._keys[0].kid is None:
            return list(self._keys)
        try:
            kid = jwt.get_unverified_header(text).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):
            return []
        return [key for key in self._keys if kid is None or key.kid in (None, kid)]

    def _read(self, text: str, key: VerifyingKey) -> Token:
        demanded = ["exp"]
        demanded += ["aud"] if self._audience is not None else []
        demanded += ["iss"] if self._issuer is not None else []
        claims = jwt.decode(
            text,
            key.key,
            algorithms=[key.algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway_s,
            options={"require": demanded},
        )
        exp_s = min(float(claims["exp"]), _LATEST_S)
        return Token(
            subject=_subject(claims.get("sub"), text),
            expires_at_s=exp_s + self._leeway_s,
            exp_s=exp_s,
            key_id=key.id,
            single_use=_single_use(claims),
        )


def _subject(sub: object, text: str) -> str:
    """The name of whoever holds the token; one without a usable `sub` is known by its digest."""
    if isinstance(sub, str) and 0 < len(sub) <= MAX_SUBJECT_CHARS and sub.isprintable():
        return sub
    return f"unnamed-{sha256(text.encode()).hexdigest()[:16]}"


def _single_use(claims: dict[str, Any]) -> str | None:
    if claims.get("jti") is None:
        return None
    return sha256(f"{claims.get('iss')}\0{claims['jti']}".encode()).hexdigest()


class UsedTokens:
    """The ids of single-use tokens that were used, until they expire; at most `max_ids` of them.

    A full memory forgets nobody, it takes no more: `is_full`.
    """

    def __init__(self, max_ids: int = 100_000) -> None:
        """100,000 ids take about 20 MB; at five minutes each that is 330 connections a second."""
        self._max_ids = max_ids
        self._until_s: dict[str, float] = {}

    def is_full(self, now_s: float) -> bool:
        if len(self._until_s) >= self._max_ids:
            self._until_s = {each: s for each, s in self._until_s.items() if s > now_s}
        return len(self._until_s) >= self._max_ids

    def has(self, token_id: str, now_s: float) -> bool:
        return self._until_s.get(token_id, 0.0) > now_s

    def use(self, token_id: str, until_s: float) -> None:
        """Remember a use; `until_s` is when the token can no longer be used anyway."""
        self._until_s[token_id] = until_s

    def __len__(self) -> int:
        return len(self._until_s)
