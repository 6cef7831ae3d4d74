"""Attack a server's wire with random and malicious bytes, then ask whether it is still well.

    python -m tools.fuzz --connections 5000 --seed 1 ws://127.0.0.1:8000/ws/transcribe

Prints one JSON report; exits with 1 when the server no longer serves. A good client pings meanwhile, and
before in peace, so that it shows what the attacks cost others; with --pid also what the server's
process holds. The same seed sends the same bytes. Addresses of other machines are refused unless
--allow-remote says that they are yours.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import sys
from collections import Counter
from urllib.parse import SplitResult, urlsplit

import attrs
import trio
from attrs import define, field
from trio_websocket import open_websocket_url

from tools.fuzzing.attacks import ATTACKS
from tools.fuzzing.witness import Footprint, Witness

CONCURRENCY = 40
"""Below the server's default of 50 connections, so that the fuzz is not merely refused."""

ATTACK_S = 1.0
"""How long one attack may keep its connection; the server may well wait for more bytes."""

PROBE_S = 10.0

PEACE_S = 5.0
"""How long the witness watches before the attacks."""

WARM_UP_SHARE = 0.1
"""Of the attacks: what the process holds after them is what it should hold after all."""


@define
class Report:
    """What was done, and what the server was like afterwards."""

    seed: int
    connections: int = 0
    attacks: Counter[str] = field(factory=Counter)
    outcomes: Counter[str] = field(factory=Counter)
    """How the server ended each connection: the status of its HTTP answer, or without one."""
    ping_in_peace_ms: dict[str, float | int | None] = field(factory=dict)
    ping_under_attack_ms: dict[str, float | int | None] = field(factory=dict)
    warm: Footprint | None = None
    last: Footprint | None = None
    health_status: int | None = None
    handshake_ok: bool = False
    stats: dict[str, object] = field(factory=dict)

    @property
    def is_well(self) -> bool:
        return self.handshake_ok and self.health_status == 200


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


async def fuzz(
    url: str, *, connections: int, seed: int, per_second: float = 0.0, pid: int | None = None
) -> Report:
    """Run the attacks at bounded concurrency beside a witness, then probe with a good client.

    `per_second` 0 attacks as fast as it goes; `pid` is the server's process, to be looked at.
    """
    report = Report(seed)
    witness = Witness(url)
    async with trio.open_nursery() as nursery:
        await nursery.start(witness.watch)
        await trio.sleep(PEACE_S)
        report.ping_in_peace_ms = witness.take()
        await _attack_all(url, report, connections=connections, per_second=per_second, pid=pid)
        report.ping_under_attack_ms = witness.take()
        nursery.cancel_scope.cancel()
    # The server may need a moment to notice the last ones that left.
    await trio.sleep(1)
    await probe(url, report)
    report.last = None if pid is None else Footprint.of(pid)
    return report


async def _attack_all(
    url: str, report: Report, *, connections: int, per_second: float, pid: int | None
) -> None:
    parts = urlsplit(url)
    limiter = trio.CapacityLimiter(CONCURRENCY)
    began_s = trio.current_time()

    async def one(rng: random.Random, token: object) -> None:
        try:
            await attack(parts, rng, report)
        finally:
            limiter.release_on_behalf_of(token)

    async with trio.open_nursery() as nursery:
        for number in range(connections):
            if per_second:
                await trio.sleep_until(began_s + number / per_second)
            if pid is not None and number == int(connections * WARM_UP_SHARE):
                report.warm = Footprint.of(pid)
            # Before the task is made, so that there are never more than attack at once.
            token = object()
            await limiter.acquire_on_behalf_of(token)
            nursery.start_soon(one, random.Random(f"{report.seed}/{number}"), token)


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
    parser.add_argument("--per-second", type=float, default=0.0, help="0: as fast as it goes")
    parser.add_argument("--pid", type=int, help="the server's process, on this machine")
    parser.add_argument("--allow-remote", action="store_true", help="the other machine is yours")
    args = parser.parse_args()
    parts = urlsplit(args.url)
    if parts.scheme != "ws" or not parts.hostname:
        parser.error(f"{args.url!r} is not a ws:// address")
    if not args.allow_remote and not is_loopback(parts.hostname):
        parser.error(f"{parts.hostname} is another machine: add --allow-remote if it is yours")
    report = trio.run(
        lambda: fuzz(
            args.url,
            connections=args.connections,
            seed=args.seed,
            per_second=args.per_second,
            pid=args.pid,
        )
    )
    print(json.dumps({"well": report.is_well, **attrs.asdict(report)}, indent=2))
    return 0 if report.is_well else 1


if __name__ == "__main__":
    sys.exit(main())
