"""A server's door without a socket: knock with whatever credentials, see who is let in as whom."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jwt
import trio
from attrs import define, field, frozen
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fasttalk_stt.access.principal import Principal
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.app import create_app, create_monitoring_app
from fasttalk_stt.connection.transport import Transport
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.protocol.errors import ProtocolError
from fasttalk_stt.protocol.state import ConnectionState
from fasttalk_stt.service.connections import ConnectionManager
from fasttalk_stt.service.gate import Gate, MonitoringGate
from fasttalk_stt.service.readiness import Readiness, ReadinessState
from fasttalk_stt.service.services import Services
from tests.support import engine_health

SECRET = "a-shared-secret-of-64-bytes-so-that-it-would-do-for-HS512-as-well"  # noqa: S105
PEER = "203.0.113.7"


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def token(
    key: Any = SECRET, algorithm: str = "HS256", *, kid: str | None = None, **claims: object
) -> str:
    """A token of subject "anna" that is good for a minute, with `claims` on top; None removes one."""
    said = {"sub": "anna", "exp": time.time() + 60} | claims
    headers = None if kid is None else {"kid": kid}
    present = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(present, key, algorithm, headers=headers)


@define(eq=False)
class Guest:
    """A connection that only stays, until it is told to part."""

    transport: Transport
    principal: Principal
    audio: Bucket | None
    state: ConnectionState = ConnectionState.ACTIVE
    parted_with: ProtocolError | None = None
    leaving: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        await self.leaving.wait()
        if self.parted_with is not None:
            await self.transport.close(1008, self.parted_with.kind.code)

    def drain(self) -> None:
        self.leaving.set()

    def part(self, error: ProtocolError) -> None:
        self.parted_with = error
        self.leaving.set()

    def statistics(self) -> None:
        return None


@frozen
class Answer:
    """What became of a knock: `status` is 101 for who was let in."""

    status: int
    subprotocol: str | None = None
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


class Door:
    """Both applications of a server with these gates."""

    def __init__(self, gate: Gate, monitoring: MonitoringGate | None = None) -> None:
        self.guests: list[Guest] = []
        self.services = Services(
            connections=ConnectionManager(max_connections=9),
            readiness=Readiness(),
            guard=GuardStatistics(),
            connect=self._connect,
            model_name=lambda: "tiny.en",
            engine=engine_health(),
            access=gate,
            monitoring=monitoring or MonitoringGate(),
        )
        self.services.readiness.move(ReadinessState.READY)
        self.app = create_app(self.services)
        self.monitoring_app = create_monitoring_app(self.services)

    def _connect(
        self,
        transport: Transport,
        *,
        principal: Principal,
        audio: Bucket | None,
        must_resume: bool = False,
    ) -> Guest:
        self.guests.append(Guest(transport, principal, audio))
        return self.guests[-1]

    async def knock(
        self,
        headers: Sequence[tuple[str, str]] = (),
        *,
        subprotocols: Sequence[str] = (),
        query: str = "",
        peer: str = PEER,
        stay_s: float = 0.0,
    ) -> Answer:
        """Ask for an upgrade; whoever is let in leaves after `stay_s`. Returns how it ended."""
        scope = {
            "type": "websocket",
            "asgi": {"spec_version": "2.3", "version": "3.0"},
            "scheme": "ws",
            "http_version": "1.1",
            "path": "/ws/transcribe",
            "raw_path": b"/ws/transcribe",
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
            "client": (peer, 4711),
            "server": ("127.0.0.1", 8000),
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        said: list[dict[str, Any]] = []
        decided = trio.Event()

        async def receive() -> dict[str, Any]:
            await decided.wait()
            await trio.sleep(stay_s)
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)
            if message["type"] in {"websocket.accept", "websocket.http.response.body"}:
                decided.set()

        await self.app(scope, receive, send)
        first = said[0]
        if first["type"] == "websocket.accept":
            return Answer(101, first.get("subprotocol"))
        found = {name.decode().lower(): value.decode() for name, value in first["headers"]}
        return Answer(first["status"], headers=found, body=b"".join(x["body"] for x in said[1:]))
