"""Who gets in with what: the table of docs/security.md, a test for each row.

Through the real routes; only the socket and the conversation behind it are left out.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Sequence
from pathlib import Path

import jwt
import pytest
import trio
from attrs import frozen

from fasttalk_stt.access.api_keys import digest, new_key
from fasttalk_stt.access.carriers import Request
from fasttalk_stt.access.origins import Origins, read_origins
from fasttalk_stt.protocol.errors import UNAUTHORIZED, ProtocolError
from fasttalk_stt.service.credentials import load_monitoring_token, load_policy
from fasttalk_stt.service.gate import Gate, MonitoringGate
from fasttalk_stt.settings import Settings
from tests.access.door import PEER, SECRET, Door, ec_key, public_pem, rsa_key, token

KEY = new_key()
OTHER_KEY = new_key()
EXPIRED_KEY = new_key()
ORIGIN = "https://app.example.com"


def unsigned(**claims: object) -> str:
    return jwt.encode({"sub": "anna", "exp": time.time() + 60, **claims}, None, algorithm="none")


def bearer(credential: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {credential}"),)


def tampered(text: str) -> str:
    head, _, signature = text.split(".")
    body = json.dumps({"sub": "root", "exp": time.time() + 60}).encode()
    return f"{head}.{base64.urlsafe_b64encode(body).decode().rstrip('=')}.{signature}"


def confused() -> str:
    """The RSA public key, known to everybody, used as the shared secret of HS256."""
    pem = public_pem(rsa_key()).encode()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(
        json.dumps({"sub": "root", "exp": time.time() + 60}).encode()
    ).rstrip(b"=")
    signature = hmac.digest(pem, head + b"." + body, "sha256")
    return b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


@frozen
class Row:
    """`status` 101 means let in, as `who`."""

    name: str
    status: int
    who: str = ""
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] = ()
    query: str = ""
    told: str = ""


def keys_or_secret() -> list[Row]:
    """Made when a test runs, since tokens age."""
    return [
        Row("nothing", 401, told="No credential came"),
        Row("key in the header", 101, "key:backend", bearer(KEY)),
        Row("scheme in any case", 101, "key:backend", (("authorization", f"bEaReR {KEY}"),)),
        Row("key as subprotocol", 101, "key:backend", subprotocols=("fasttalk", f"bearer.{KEY}")),
        Row("key in the address", 401, query=f"token={KEY}", told="no API key or token"),
        Row("unknown key", 401, headers=bearer(OTHER_KEY), told="no API key or token"),
        Row("digest instead of the key", 401, headers=bearer(digest(KEY))),
        Row("expired key", 401, headers=bearer(EXPIRED_KEY), told="has expired"),
        Row("empty credential", 401, headers=(("Authorization", "Bearer "),), told="0 characters"),
        Row("password", 401, headers=(("Authorization", "Basic eDp5"),), told="not a bearer's"),
        Row("two credentials", 401, headers=bearer(KEY), query="token=x", told="2 credentials"),
        Row("9,000 characters", 401, headers=bearer("x" * 9_000), told="9000 characters"),
        Row("token in the header", 101, "token:anna", bearer(token())),
        Row(
            "token as subprotocol",
            101,
            "token:anna",
            subprotocols=(f"bearer.{token()}", "fasttalk"),
        ),
        Row("token in the address", 101, "token:anna", query=f"token={token()}"),
        Row(
            "long-lived token in a header", 101, "token:anna", bearer(token(exp=time.time() + 9e4))
        ),
        Row(
            "long-lived token in the address",
            401,
            query=f"token={token(exp=time.time() + 9e4)}",
            told="expected at most 300 s",
        ),
        Row("other secret", 401, headers=bearer(token("x" * 40)), told="no API key or token"),
        Row("tampered token", 401, headers=bearer(tampered(token())), told="no API key or token"),
        Row("alg=none", 401, headers=bearer(unsigned()), told="no API key or token"),
        Row("HS512 with the right secret", 401, headers=bearer(token(SECRET, "HS512"))),
        Row("without exp", 401, headers=bearer(token(exp=None)), told="has no exp"),
        Row(
            "expired token", 401, headers=bearer(token(exp=time.time() - 3_600)), told="has expired"
        ),
        Row("expired within the leeway", 101, "token:anna", bearer(token(exp=time.time() - 10))),
        Row(
            "not yet valid",
            401,
            headers=bearer(token(nbf=time.time() + 3_600)),
            told="not valid yet",
        ),
        Row("exp that is no number", 401, headers=bearer(token(exp="soon"))),
        Row("endless exp", 101, "token:anna", bearer(token(exp=10**300))),
        Row("token for an audience", 401, headers=bearer(token(aud="other")), told="audience"),
        Row("nested header", 401, headers=bearer(f"{'W1tb' * 1_500}.e30.x")),
        Row("two dots only", 401, headers=bearer("..")),
    ]


def settings(tmp_path: Path) -> Settings:
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[keys.old]\nsha256 = "{digest(EXPIRED_KEY)}"\nexpires = 2020-01-01T00:00:00Z\n'
    )
    return Settings(
        api_keys=f"backend:{digest(KEY)}", api_keys_file=keys, jwt_secret=SECRET, vad="webrtc"
    )


def named(name: str, rows: Sequence[Row]) -> Row:
    (found,) = (row for row in rows if row.name == name)
    return found


async def check(door: Door, row: Row) -> None:
    answer = await door.knock(row.headers, subprotocols=row.subprotocols, query=row.query)
    assert answer.status == row.status, answer.body
    assert [str(guest.principal) for guest in door.guests] == ([row.who] if row.who else [])
    assert answer.subprotocol == ("fasttalk" if row.who and row.subprotocols else None)
    if row.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.error["code"] == "unauthorized"
        assert (answer.error["category"], answer.error["severity"]) == ("connection", "critical")
        assert (answer.error["recoverable"], answer.error["retry_after"]) == (False, None)
        assert row.told in answer.error["message"]


@pytest.mark.parametrize("name", [row.name for row in keys_or_secret()])
async def test_with_keys_and_a_secret(name: str, tmp_path: Path) -> None:
    await check(Door(Gate(load_policy(settings(tmp_path)))), named(name, keys_or_secret()))


def demanding() -> list[Row]:
    return [
        Row("right audience and issuer", 101, "token:anna", bearer(token(aud="stt", iss="idp"))),
        Row("one of two audiences", 101, "token:anna", bearer(token(aud=["x", "stt"], iss="idp"))),
        Row("wrong audience", 401, headers=bearer(token(aud="tts", iss="idp")), told="audience"),
        Row("no audience", 401, headers=bearer(token(iss="idp")), told="has no aud"),
        Row("wrong issuer", 401, headers=bearer(token(aud="stt", iss="me")), told="issuer"),
        Row("no issuer", 401, headers=bearer(token(aud="stt")), told="has no iss"),
    ]


@pytest.mark.parametrize("name", [row.name for row in demanding()])
async def test_with_an_audience_and_an_issuer(name: str) -> None:
    strict = Settings(jwt_secret=SECRET, jwt_audience="stt", jwt_issuer="idp", vad="webrtc")
    await check(Door(Gate(load_policy(strict))), named(name, demanding()))


def public_rows() -> list[Row]:
    return [
        Row("RS256", 101, "token:anna", bearer(token(rsa_key(), "RS256"))),
        Row("RS512", 401, headers=bearer(token(rsa_key(), "RS512"))),
        Row("ES256", 401, headers=bearer(token(ec_key(), "ES256"))),
        Row("HS256 with the public key as secret", 401, headers=bearer(confused())),
        Row("alg=none", 401, headers=bearer(unsigned())),
    ]


@pytest.mark.parametrize(
    "name", ["RS256", "RS512", "ES256", "HS256 with the public key as secret", "alg=none"]
)
async def test_with_an_rsa_key(name: str, tmp_path: Path) -> None:
    file = tmp_path / "public.pem"
    file.write_text(public_pem(rsa_key()))
    policy = load_policy(Settings(jwt_public_key_file=file, vad="webrtc"))
    await check(Door(Gate(policy)), named(name, public_rows()))


def jwks() -> str:
    keys = []
    for key, kid in ((rsa_key(), "r"), (ec_key(), "e")):
        algorithm = jwt.get_algorithm_by_name("RS256" if kid == "r" else "ES256")
        listed = algorithm.to_jwk(key.public_key(), as_dict=True)
        keys.append(listed | {"kid": kid, "use": "sig"})
    return json.dumps({"keys": keys})


def jwks_rows() -> list[Row]:
    return [
        Row("RS256 by kid", 101, "token:anna", bearer(token(rsa_key(), "RS256", kid="r"))),
        Row("ES256 by kid", 101, "token:anna", bearer(token(ec_key(), "ES256", kid="e"))),
        Row("ES256 without a kid", 101, "token:anna", bearer(token(ec_key(), "ES256"))),
        Row("the other key's kid", 401, headers=bearer(token(ec_key(), "ES256", kid="r"))),
        Row("unknown kid", 401, headers=bearer(token(rsa_key(), "RS256", kid="x"))),
        Row("HS256 with the public key as secret", 401, headers=bearer(confused())),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "RS256 by kid",
        "ES256 by kid",
        "ES256 without a kid",
        "the other key's kid",
        "unknown kid",
        "HS256 with the public key as secret",
    ],
)
async def test_with_a_key_set(name: str, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(jwks())
    policy = load_policy(Settings(jwt_jwks_file=file, vad="webrtc"))
    await check(Door(Gate(policy)), named(name, jwks_rows()))


@pytest.mark.parametrize(
    ("headers", "subprotocols", "chosen"),
    [
        ((), (), None),
        (bearer("whatever"), (), None),
        ((), ("fasttalk", "bearer.whatever"), "fasttalk"),
        ((), ("other",), None),
    ],
)
async def test_without_credentials_everybody_gets_in_by_their_address(
    headers: Sequence[tuple[str, str]], subprotocols: Sequence[str], chosen: str | None
) -> None:
    door = Door(Gate())
    answer = await door.knock(headers, subprotocols=subprotocols)
    assert (answer.status, answer.subprotocol) == (101, chosen)
    assert str(door.guests[0].principal) == f"anonymous:{PEER}"


async def test_a_token_with_a_jti_in_the_address_opens_one_connection() -> None:
    door = Door(Gate(load_policy(Settings(jwt_secret=SECRET, vad="webrtc"))))
    once, other = token(jti="1"), token(jti="2")
    assert (await door.knock(query=f"token={once}")).status == 101
    again = await door.knock(query=f"token={once}")
    assert (again.status, "used already" in again.error["message"]) == (401, True)
    assert (await door.knock(query=f"token={other}")).status == 101
    # In a header it says no address and no history, so it may come again.
    assert [(await door.knock(bearer(once))).status for _ in range(2)] == [101, 101]
    plain = token()
    assert [(await door.knock(query=f"token={plain}")).status for _ in range(2)] == [101, 101]


async def test_a_token_is_not_used_up_by_a_refusal() -> None:
    door = Door(Gate(load_policy(Settings(jwt_secret=SECRET, vad="webrtc"))))
    once = token(jti="1")
    door.services.connections.max_connections = 0
    refused = await door.knock(query=f"token={once}")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    door.services.connections.max_connections = 9
    assert (await door.knock(query=f"token={once}")).status == 101


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        (ORIGIN, 101),
        ("HTTPS://APP.example.com:443", 101),
        ("https://app.example.com.evil.net", 403),
        ("http://app.example.com", 403),
        ("https://app.example.com:8443", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_origins(origin: str | None, status: int) -> None:
    door = Door(Gate(origins=Origins(read_origins(f"{ORIGIN}, http://localhost:3000"))))
    headers = () if origin is None else (("Origin", origin),)
    answer = await door.knock(headers)
    assert answer.status == status
    if status == 403:
        assert answer.error["code"] == "forbidden_origin"
        assert "retry-after" not in answer.headers
    http = await door.app.test_client().get("/stats", headers=dict(headers))
    assert http.status_code == (200 if status == 101 else 403)
    assert http.headers.get("Access-Control-Allow-Origin") == (origin if status == 101 else None)


async def test_any_origin_and_no_list() -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    listed = Door(Gate(origins=Origins(read_origins("*"))))
    response = await listed.app.test_client().get("/stats", headers=foreign)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert (await listed.knock(tuple(foreign.items()))).status == 101
    unset = await Door(Gate()).app.test_client().get("/stats", headers=foreign)
    assert (unset.status_code, "Access-Control-Allow-Origin" in unset.headers) == (200, False)


async def test_a_browsers_question_beforehand_needs_no_credential(tmp_path: Path) -> None:
    gate = Gate(load_policy(settings(tmp_path)), origins=Origins(read_origins(ORIGIN)))
    client = Door(gate).app.test_client()
    asking = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    response = await client.options("/stats", headers=asking)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Headers"] == "Authorization, *"
    foreign = await client.options("/stats", headers=asking | {"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    # The refusal of the request itself can be read by the page.
    refused = await client.get("/stats", headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


@pytest.mark.parametrize(
    ("path", "without", "with_key"),
    [
        ("/", 401, 200),
        ("/health", 401, 200),
        ("/stats", 401, 200),
        ("/nowhere", 401, 404),
        ("/health/live", 200, 200),
        ("/health/ready", 200, 200),
        ("/demo", 307, 307),
        ("/demo/", 200, 200),
        ("/demo/demo.js", 200, 200),
        ("/demo/nowhere.js", 404, 404),
    ],
)
async def test_http_routes(path: str, without: int, with_key: int, tmp_path: Path) -> None:
    client = Door(Gate(load_policy(settings(tmp_path)))).app.test_client()
    assert (await client.get(path)).status_code == without
    assert (await client.get(path, headers=dict(bearer(KEY)))).status_code == with_key
    in_address = await client.get(f"{path}?token={token()}")
    assert in_address.status_code == without


async def test_monitoring_port(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("operators-only-0123456789\n")
    guarded = MonitoringGate(
        load_monitoring_token(Settings(monitoring_token_file=file, vad="webrtc"))
    )
    client = Door(Gate(), guarded).monitoring_app.test_client()
    for path in ("/health", "/stats"):
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers=dict(bearer(KEY)))).status_code == 401
        right = dict(bearer("operators-only-0123456789"))
        assert (await client.get(path, headers=right)).status_code == 200
    assert (await client.get("/dashboard/")).status_code == 200
    assert (await client.get("/dashboard/data")).status_code == 401
    # A key of the main port opens nothing here, and no token is needed where none is set.
    assert (await Door(Gate()).monitoring_app.test_client().get("/stats")).status_code == 200


async def test_connections_from_one_address_are_limited(
    autojump_clock: trio.testing.MockClock,
) -> None:
    door = Door(Gate(connections_per_minute=3))
    assert [(await door.knock()).status for _ in range(4)] == [101, 101, 101, 429]
    refused = await door.knock()
    assert refused.error["code"] == "rate_limited"
    assert 0 < refused.error["retry_after"] <= 20
    assert refused.headers["retry-after"] == "20"
    assert (await door.knock(peer="198.51.100.1")).status == 101
    await trio.sleep(20)
    assert [(await door.knock()).status for _ in range(2)] == [101, 429]


async def test_a_key_is_limited_wherever_it_comes_from(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    door = Door(Gate(load_policy(settings(tmp_path)), connections_per_minute=2))
    peers = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    assert [(await door.knock(bearer(KEY), peer=each)).status for each in peers] == [101, 101, 429]
    assert (await door.knock(bearer(token()), peer=peers[0])).status == 101


async def test_guessing_is_slow_and_locks_nobody_else_out(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    door = Door(Gate(load_policy(settings(tmp_path)), connections_per_minute=2))
    guesses = [(await door.knock(bearer(f"guess-{n}"))).status for n in range(4)]
    assert guesses == [401, 401, 429, 429]
    assert (await door.knock(bearer(KEY))).status == 101


async def test_an_ipv6_home_is_one_address() -> None:
    door = Door(Gate(connections_per_minute=1, clock=lambda: 0.0))
    assert (await door.knock(peer="2001:db8:1:2::3")).status == 101
    assert (await door.knock(peer="2001:db8:1:2:ffff::4")).status == 429
    assert (await door.knock(peer="2001:db8:1:3::3")).status == 101


async def test_a_credential_that_expires_inside_ends_the_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    # The test's clock starts at the wall clock's time, so that tokens are good.
    start_s = time.time()
    gate = Gate(
        load_policy(Settings(jwt_secret=SECRET, vad="webrtc")),
        wall_clock=lambda: start_s + trio.current_time(),
    )
    door = Door(gate)
    started_s = trio.current_time()
    answer = await door.knock(bearer(token(exp=start_s + 600)), stay_s=3_600)
    assert answer.status == 101
    parted_with = door.guests[0].parted_with
    assert parted_with is not None
    assert parted_with.kind.code == "unauthorized"
    assert "expired" in parted_with.message
    # 30 s of leeway; PyJWT keeps whole seconds.
    assert trio.current_time() - started_s >= 629
    assert door.services.connections.active_connections == 0


async def test_revoked_keys_lose_their_connections(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate(load_policy(settings(tmp_path)))
    door = Door(gate)

    async def stay(credential: str) -> None:
        await door.knock(bearer(credential), stay_s=60)

    nursery.start_soon(stay, KEY)
    nursery.start_soon(stay, token())
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(str(each.principal) for each in door.guests) == ["key:backend", "token:anna"]
    gate.replace(load_policy(Settings(jwt_secret=SECRET, vad="webrtc")))
    revoked = ProtocolError(UNAUTHORIZED, "revoked")
    assert door.services.connections.part_invalid(gate.is_valid, revoked) == 1
    parted = {str(each.principal): each.parted_with for each in door.guests}
    assert parted == {"key:backend": revoked, "token:anna": None}
    assert (await door.knock(bearer(KEY))).status == 401
    # A token is revoked with the key it was checked with.
    gate.replace(load_policy(Settings(jwt_secret="another" * 8, vad="webrtc")))
    await trio.testing.wait_all_tasks_blocked()
    door.services.connections.part_invalid(gate.is_valid, revoked)
    assert all(each.parted_with is revoked for each in door.guests)


async def test_a_key_that_is_moved_to_another_name_is_revoked(tmp_path: Path) -> None:
    gate = Gate(load_policy(settings(tmp_path)))
    visitor = load_policy(settings(tmp_path)).identify(Request(authorization=(f"Bearer {KEY}",)), 0)
    assert gate.is_valid(visitor)
    gate.replace(load_policy(Settings(api_keys=f"other:{digest(KEY)}", vad="webrtc")))
    assert not gate.is_valid(visitor)


async def test_guessing_over_http_is_slow_too(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    door = Door(Gate(load_policy(settings(tmp_path)), connections_per_minute=2))
    client = door.app.test_client()
    wrong, right = dict(bearer("guess")), dict(bearer(KEY))
    statuses = [(await client.get("/stats", headers=wrong)).status_code for _ in range(4)]
    assert statuses == [401, 401, 429, 429]
    # Whoever has a key may ask as often as they like.
    statuses = [(await client.get("/stats", headers=right)).status_code for _ in range(4)]
    assert statuses == [200] * 4


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.9", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
async def test_addresses_behind_a_proxy(peer: str, forwarded: str, seen: str) -> None:
    policy = load_policy(Settings(trusted_proxies=("10.0.0.0/8",), vad="webrtc"))
    door = Door(Gate(policy))
    await door.knock((("X-Forwarded-For", forwarded),), peer=peer)
    assert door.guests[0].principal.name == seen
