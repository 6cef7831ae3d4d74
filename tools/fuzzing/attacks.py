"""Attacks on the wire: each is what one connection sends, packet by packet, drawn from a generator."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable


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
