"""How keys for tokens are read; which tokens pass is in `test_who_gets_in`."""

from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fasttalk_stt.access.api_keys import AccessError
from fasttalk_stt.access.tokens import (
    TokenVerifier,
    UsedTokens,
    jwks_keys,
    pem_key,
    secret_key,
)
from tests.access.door import SECRET, ec_key, public_pem, rsa_key, token


def test_the_kind_of_the_key_is_the_algorithm() -> None:
    assert secret_key(SECRET).algorithm == "HS256"
    assert pem_key(public_pem(rsa_key())).algorithm == "RS256"
    assert pem_key(public_pem(ec_key())).algorithm == "ES256"


@pytest.mark.parametrize(
    ("secret", "problem"),
    [("short", "has 5 bytes, expected at least 32"), ("-----BEGIN PUBLIC KEY-----" * 3, "PEM")],
)
def test_bad_secrets(secret: str, problem: str) -> None:
    with pytest.raises(AccessError, match=problem) as caught:
        secret_key(secret)
    assert secret not in str(caught.value)


def test_bad_pem_keys() -> None:
    private = ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    small = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)  # noqa: S505
    other_curve = ec.generate_private_key(ec.SECP384R1())
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    edwards_pem = edwards.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text, problem in (
        (private, "holds a private key"),
        ("no key at all", "is not a public key in PEM"),
        (public_pem(small), "2048 bits or more"),
        (public_pem(other_curve), "P-256"),
        (edwards_pem, "expected an RSA key"),
    ):
        with pytest.raises(AccessError, match=problem):
            pem_key(text)


def listed(**changes: object) -> dict[str, object]:
    return jwt.get_algorithm_by_name("ES256").to_jwk(ec_key().public_key(), as_dict=True) | changes


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("no", "expected 1-32 keys"),
        ([], "expected 1-32 keys"),
        ([7], "key 1: expected an RSA key"),
        ([{"kty": "oct", "k": "c2VjcmV0"}], "key 1: expected an RSA key"),
        ([listed(), listed(use="enc")], 'key 2: expected a key with "use": "sig"'),
        ([listed(kid=7)], "key 1"),
        ([listed(x="AAAA")], "key 1 cannot be read"),
        ([listed(alg="ES512")], "key 1 is for another algorithm"),
    ],
)
def test_bad_key_sets(keys: object, problem: str) -> None:
    with pytest.raises(AccessError, match=problem):
        jwks_keys(json.dumps({"keys": keys}))


@pytest.mark.parametrize("text", ["", "[]", "7", "[" * 100_000])
def test_what_is_no_key_set(text: str) -> None:
    with pytest.raises(AccessError, match="is not a JWK set"):
        jwks_keys(text)


def test_the_private_part_of_a_listed_key_is_not_kept() -> None:
    private = jwt.get_algorithm_by_name("ES256").to_jwk(ec_key(), as_dict=True)
    (key,) = jwks_keys(json.dumps({"keys": [private]}))
    assert key.id == pem_key(public_pem(ec_key())).id
    assert isinstance(key.key, ec.EllipticCurvePublicKey)


@pytest.mark.parametrize("sub", ["", "x" * 129, "new\nline"])
def test_a_subject_that_cannot_be_shown_is_known_by_its_token(sub: str) -> None:
    verifier = TokenVerifier([secret_key(SECRET)])
    text = token(sub=sub)
    subject = verifier.verify(text).subject
    assert subject.startswith("unnamed-")
    assert verifier.verify(text).subject == subject
    assert verifier.verify(token(sub=sub, jti="other")).subject != subject


def test_used_ids_are_bounded_and_forgotten_when_they_expire() -> None:
    used = UsedTokens(max_ids=3)
    for number in range(3):
        assert not used.is_full(0.0)
        used.use(str(number), until_s=10.0 + number)
    assert used.is_full(9.0)
    assert used.has("0", 9.0)
    assert not used.has("0", 10.0)
    assert not used.is_full(11.5)
    assert len(used) == 1
