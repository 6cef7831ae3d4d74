"""Attack a server's wire with random and malicious bytes, then ask whether it is still well.

    python -m tools.fuzz --connections 5000 --seed 1 ws://127.0.0.1:8000/ws/transcribe

Prints one JSON report; exits with 1 when the server no longer serves. The same seed sends the same
bytes. Addresses of other machines are refused unless --allow-remote says that they are yours.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

import trio
from attrs import define, field
from trio_websocket import open_websocket_url

CONCURRENCY = 40
"""Below the server's default of 50 connections, so that the fuzz is not merely refused."""

ATTACK_S = 1.0
"""How long one attack may keep its connection; the server may well wait for more bytes."""

PROBE_S = 10.0


@define
class Report:
    """What was done, and what the server was like afterwards."""

    seed: int
    connections: int = 0
    attacks: Counter[str] = field(factory=Counter)
    outcomes: Counter[str] = field(factory=Counter)
    """How the server ended each connection: the status of its HTTP answer, or without one."""
    health_status: int | None = None
    handshake_ok: bool = False
    stats: dict[str, object] = field(factory=dict)

    @property
    def is_well(self) -> bool:
        return self.handshake_ok and self.health_status == 200


def frame(rng: random.Random, opcode: int, payload: bytes, *, first_bits: int = 0x80) -> bytes:
    """One masked frame; `first_bits` holds FIN and the reserved bits."""
    size = len(payload)
    head = bytes([first_bits | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    mask = rng.randbytes(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return head + mask + masked


def handshake(rng: random.Random, path: str) -> bytes:
    """A correct upgrade request."""
    key = base64.b64encode(rng.randbytes(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    ).encode()


def random_json(rng: random.Random, depth: int = 0) -> object:
    """A JSON value that often looks like a message of the protocol."""
    words = ["start_session", "configure", "flush_buffer", "end_session", "interrupt", "ping", ""]
    kind = rng.randrange(6 if depth < 3 else 4)
    if kind == 0:
        return rng.choice([None, True, False, -1, 0, 10**30, 1e308, 0.5, rng.random()])
    if kind <= 3:
        return rng.choice([*words, "\x00", "\u202e", "x" * rng.randrange(300)])
    if kind == 4:
        return [random_json(rng, depth + 1) for _ in range(rng.randrange(5))]
    names = ["type", "session_config", "config", "data", "id", "resume", "sample_rate", "scope"]
    document = {rng.choice(names): random_json(rng, depth + 1) for _ in range(rng.randrange(6))}
    if depth == 0:
        document["type"] = rng.choice(words)
    return document


def _random_bytes(rng: random.Random, path: str) -> list[bytes]:
    return [rng.randbytes(rng.randrange(1, 4096))]


def _half_handshake(rng: random.Random, path: str) -> list[bytes]:
    request = handshake(rng, path)
    return [request[: rng.randrange(1, len(request))]]


def _broken_handshake(rng: random.Random, path: str) -> list[bytes]:
    request = bytearray(handshake(rng, path))
    for _ in range(rng.randrange(1, 10)):
        request[rng.randrange(len(request))] = rng.randrange(256)
    return [bytes(request)]


def _frame_with_handshake(rng: random.Random, path: str) -> list[bytes]:
    return [handshake(rng, path) + frame(rng, rng.choice([1, 2, 8]), rng.randbytes(20))]


def _bad_opcode(rng: random.Random, path: str) -> list[bytes]:
    opcode = rng.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    return [handshake(rng, path), frame(rng, opcode, rng.randbytes(rng.randrange(100)))]


def _reserved_bits(rng: random.Random, path: str) -> list[bytes]:
    bits = 0x80 | rng.choice([0x10, 0x20, 0x40, 0x70])
    return [handshake(rng, path), frame(rng, rng.choice([1, 2]), b"{}", first_bits=bits)]


def _oversized_length(rng: random.Random, path: str) -> list[bytes]:
    size = rng.choice([2**20 + 1, 2**31, 2**63 - 1, 2**64 - 1])
    head = bytes([0x80 | rng.choice([1, 2, 8, 9]), 0x80 | 127]) + size.to_bytes(8, "big")
    return [handshake(rng, path), head + rng.randbytes(rng.randrange(4, 5000))]


def _truncated_frame(rng: random.Random, path: str) -> list[bytes]:
    whole = frame(rng, rng.choice([1, 2]), rng.randbytes(rng.randrange(1, 3000)))
    return [handshake(rng, path), whole[: rng.randrange(1, len(whole))]]


def _invalid_text(rng: random.Random, path: str) -> list[bytes]:
    return [handshake(rng, path), frame(rng, 1, b"\xff\xfe" + rng.randbytes(30))]


def _bad_close(rng: random.Random, path: str) -> list[bytes]:
    code = rng.choice([0, 999, 1005, 1006, 5000, 65_535]).to_bytes(2, "big")
    payload = rng.choice([b"\x03", code, code + b"\xff\xff"])
    return [handshake(rng, path), frame(rng, 8, payload), frame(rng, 1, b"after the close")]


def _unfinished_fragments(rng: random.Random, path: str) -> list[bytes]:
    first = frame(rng, 1, b'{"type":', first_bits=0)
    return [
        handshake(rng, path),
        first,
        *(frame(rng, rng.choice([0, 1, 9]), b"x") for _ in range(5)),
    ]


def _json(rng: random.Random, path: str) -> list[bytes]:
    texts = [json.dumps(random_json(rng)).encode() for _ in range(rng.randrange(1, 20))]
    return [handshake(rng, path), *(frame(rng, 1, text) for text in texts)]


def _audio(rng: random.Random, path: str) -> list[bytes]:
    begin = frame(rng, 1, b'{"type": "start_session"}')
    audio = [frame(rng, 2, rng.randbytes(rng.choice([0, 1, 3, 2048, 2049]))) for _ in range(10)]
    return [handshake(rng, path), begin, *audio]


def _http2(rng: random.Random, path: str) -> list[bytes]:
    return [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(200)]


def _http(rng: random.Random, path: str) -> list[bytes]:
    target = "/" + "".join(rng.choice("abc/%?#.\\ ~") for _ in range(rng.randrange(60)))
    method = rng.choice(["GET", "POST", "PUT", "OPTIONS", "TRACE", "X" * 50])
    body = rng.choice(["", "Content-Length: 99999\r\n", "Transfer-Encoding: chunked\r\n"])
    return [f"{method} {target} HTTP/1.1\r\nHost: x\r\n{body}\r\n".encode(), rng.randbytes(50)]


ATTACKS: tuple[Callable[[random.Random, str], list[bytes]], ...] = (
    _random_bytes,
    _half_handshake,
    _broken_handshake,
    _frame_with_handshake,
    _bad_opcode,
    _reserved_bits,
    _oversized_length,
    _truncated_frame,
    _invalid_text,
    _bad_close,
    _unfinished_fragments,
    _json,
    _audio,
    _http2,
    _http,
)


async def attack(url: SplitResult, rng: random.Random, report: Report) -> None:
    """One connection: send one attack's packets, read what comes, leave in one of three ways."""
    make = rng.choice(ATTACKS)
    packets = make(rng, url.path)
    goodbye = rng.choice(["reset", "close", "wait"])
    report.attacks[make.__name__.strip("_")] += 1
    report.connections += 1
    try:
        stream = await trio.open_tcp_stream(str(url.hostname), url.port or 80)
    except OSError:
        report.outcomes["refused"] += 1
        return
    answer = b""
    async with stream:
        try:
            for number, packet in enumerate(packets):
                if number == 1:
                    # Sent any earlier it would be one more frame that came with the handshake.
                    with trio.move_on_after(ATTACK_S):
                        answer += (await stream.receive_some(65_536))[:64]
                await stream.send_all(packet)
            if goodbye != "reset" or rng.random() < 0.5:
                with trio.move_on_after(ATTACK_S if goodbye == "wait" else 0.05):
                    while chunk := await stream.receive_some(65_536):
                        answer += chunk[: 64 - len(answer)]
        except trio.BrokenResourceError:
            report.outcomes["reset by the server"] += 1
            return
        if goodbye == "reset":
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    status = answer[9:12].decode("latin1") if answer.startswith(b"HTTP/1.1 ") else "no answer"
    report.outcomes[status] += 1


async def fuzz(url: str, *, connections: int, seed: int) -> Report:
    """Run the attacks at bounded concurrency, then probe with a good client."""
    parts = urlsplit(url)
    report = Report(seed)
    limiter = trio.CapacityLimiter(CONCURRENCY)

    async def limited(rng: random.Random) -> None:
        async with limiter:
            await attack(parts, rng, report)

    async with trio.open_nursery() as nursery:
        for number in range(connections):
            nursery.start_soon(limited, random.Random(f"{seed}/{number}"))
    # The server may need a moment to notice the last ones that left.
    await trio.sleep(1)
    await probe(url, report)
    return report


async def probe(url: str, report: Report) -> None:
    """Fill in what the server is like now; leaves the report's defaults where it is not."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 80
    with trio.move_on_after(PROBE_S):
        try:
            async with open_websocket_url(url) as websocket:
                await websocket.send_message('{"type": "ping", "id": "fuzz"}')
                report.handshake_ok = json.loads(await websocket.get_message())["id"] == "fuzz"
            report.health_status, _ = await _get(host, port, "/health")
            _, body = await _get(host, port, "/stats")
            report.stats = json.loads(body)
        except* (OSError, trio.BrokenResourceError, ValueError, KeyError):
            pass


async def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    async with await trio.open_tcp_stream(host, port) as stream:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        await stream.send_all(request.encode())
        answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def is_loopback(host: str) -> bool:
    """Whether every address of `host` is this machine's own."""
    found = socket.getaddrinfo(host, None)
    return all(str(address[0]).startswith("127.") or address[0] == "::1" for *_, address in found)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the wire of a Fasttalk STT server.")
    parser.add_argument("url", help="such as ws://127.0.0.1:8000/ws/transcribe")
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allow-remote", action="store_true", help="the other machine is yours")
    args = parser.parse_args()
    parts = urlsplit(args.url)
    if parts.scheme != "ws" or not parts.hostname:
        parser.error(f"{args.url!r} is not a ws:// address")
    if not args.allow_remote and not is_loopback(parts.hostname):
        parser.error(f"{parts.hostname} is another machine: add --allow-remote if it is yours")
    report = trio.run(lambda: fuzz(args.url, connections=args.connections, seed=args.seed))
    print(
        json.dumps(
            {
                "well": report.is_well,
                "seed": report.seed,
                "connections": report.connections,
                "handshake_ok": report.handshake_ok,
                "health_status": report.health_status,
                "attacks": dict(report.attacks),
                "outcomes": dict(report.outcomes),
                "stats": report.stats,
            },
            indent=2,
        )
    )
    return 0 if report.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
