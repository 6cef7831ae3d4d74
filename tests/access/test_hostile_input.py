"""Whatever bytes a request carries, the answer is a refusal and never another exception."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.access.addresses import UNKNOWN, client_address, rate_key, read_networks
from fasttalk_stt.access.carriers import Request
from fasttalk_stt.access.origins import Origins, normal_origin, read_origins
from fasttalk_stt.access.policy import Policy
from fasttalk_stt.access.tokens import TokenVerifier, secret_key
from fasttalk_stt.protocol.errors import FORBIDDEN_ORIGIN, UNAUTHORIZED, ProtocolError
from tests.access.door import SECRET, token

HEADERS = st.text(st.characters(max_codepoint=255), max_size=80)
TOKENLIKE = st.lists(HEADERS, min_size=3, max_size=3).map(".".join)
HOPS = st.lists(
    st.one_of(HEADERS, st.ip_addresses().map(str), st.just("10.1.2.3")), max_size=5
).map(",".join)


@given(text=st.one_of(HEADERS, TOKENLIKE), in_address=st.booleans())
def test_credentials(text: str, in_address: bool) -> None:
    policy = Policy(tokens=TokenVerifier([secret_key(SECRET)]))
    request = (
        Request(query_tokens=(text,))
        if in_address
        else Request(authorization=(f"Bearer {text}",), subprotocols=(text,))
    )
    with pytest.raises(ProtocolError) as caught:
        policy.identify(request, 0.0)
    assert caught.value.kind is UNAUTHORIZED


@given(position=st.integers(0, 10_000), replacement=st.integers(0, 255))
def test_a_token_with_one_byte_changed(position: int, replacement: int) -> None:
    text = token(exp=4_000_000_000)
    position %= len(text)
    changed = text[:position] + chr(replacement) + text[position + 1 :]
    policy = Policy(tokens=TokenVerifier([secret_key(SECRET)]))
    try:
        visitor = policy.identify(Request(authorization=(f"Bearer {changed}",)), 0.0)
    except ProtocolError as error:
        assert error.kind is UNAUTHORIZED
    else:
        # The last character of a base64 text has bits that mean nothing.
        assert changed == text or position == len(text) - 1
        assert visitor.principal.name == "anna"


@given(origin=HEADERS)
def test_origins(origin: str) -> None:
    try:
        Origins(read_origins("https://app.example.com")).check([origin])
    except ProtocolError as error:
        assert error.kind is FORBIDDEN_ORIGIN
    else:
        assert normal_origin(origin) == "https://app.example.com"


@given(forwarded=HOPS)
def test_nobody_else_than_a_trusted_proxy_tells_the_address(forwarded: str) -> None:
    trusted = read_networks("10.0.0.0/8, 2001:db8::/32")
    untrusted = Request(peer="203.0.113.7", forwarded_for=(forwarded,))
    assert client_address(untrusted, trusted) == "203.0.113.7"
    behind = client_address(Request(peer="10.0.0.1", forwarded_for=(forwarded,)), trusted)
    assert behind == UNKNOWN or ip_address(behind)
    rate_key(behind)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://App.Example.com:443", "https://app.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]"),
        ("app://desktop", "app://desktop"),
    ],
)
def test_one_form_of_an_origin(text: str, normal: str) -> None:
    assert normal_origin(text) == normal


@pytest.mark.parametrize(
    "text", ["", "null", "example.com", "https://", "https://a/b", "https://u@a", "https://a:x"]
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (several of the standard library's)
        normal_origin(text)
