"""API keys: how they are made, stored as digests, read and compared.

A key is 32 random bytes, so a plain SHA-256 is enough at rest: there is nothing to guess that a
slower hash would protect. The time of a refusal says nothing about the key: whatever was presented
is hashed and compared with every stored digest.
"""

from __future__ import annotations

import hmac
import re
import secrets
import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from hashlib import sha256

from attrs import frozen

KEY_PREFIX = "ftk_"
"""Lets people and secret scanners know one when they see it."""
KEY_BYTES = 32

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"sha256", "max_connections", "audio_seconds_per_minute", "expires"}
_HOW_TO_HASH = (
    "expected the SHA-256 of the key as 64 hex digits: 'fasttalk-stt keys hash NAME' reads a key and "
    "prints the line, 'fasttalk-stt keys new NAME' makes a new one"
)


class AccessError(ValueError):
    """A list of keys or a key file cannot be used; one line for the operator, without a secret."""


@frozen
class ApiKey:
    """A named key, its digests (two while it is being replaced) and its limits; None: none.

    `expires_at_s` is Unix time.
    """

    name: str
    digests: tuple[str, ...]
    max_connections: int | None = None
    audio_seconds_per_minute: float | None = None
    expires_at_s: float | None = None


def new_key() -> str:
    """Make a fresh key; it is to be shown once and stored nowhere."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest(key: str) -> str:
    """What is stored of a key."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def is_key_name(name: str) -> bool:
    """Whether it may name a key; a key itself may not, as it would be shown."""
    return _NAME.fullmatch(name) is not None and not name.startswith(KEY_PREFIX)


def read_inline_keys(text: str) -> tuple[ApiKey, ...]:
    """Read `name:sha256hex` entries separated by commas. Raises AccessError.

    The error shows the name of an entry, never more: what stands there may be a key.
    """
    keys = []
    for number, entry in enumerate(text.split(","), start=1):
        name, colon, value = entry.strip().partition(":")
        if not colon or not is_key_name(name):
            raise AccessError(
                f"entry {number} is not NAME:SHA256 with a name of 1-64 letters, digits, '.', '_' "
                "or '-'"
            )
        if not _DIGEST.fullmatch(value.lower()):
            raise AccessError(f"the entry of {name!r} is not hashed: {_HOW_TO_HASH}")
        keys.append(ApiKey(name, (value.lower(),)))
    return tuple(keys)


def read_key_file(text: str) -> tuple[ApiKey, ...]:
    """Read a TOML file of `[keys.NAME]` tables. Raises AccessError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AccessError(f"is not TOML: {error}") from None
    tables = document.get("keys")
    if set(document) != {"keys"} or not isinstance(tables, dict):
        raise AccessError("expected tables [keys.NAME] and nothing else")
    return tuple(_read_table(name, table) for name, table in tables.items())


def _read_table(name: str, table: object) -> ApiKey:
    if not is_key_name(name):
        raise AccessError(
            "the name of a key has 1-64 letters, digits, '.', '_' or '-'; one of the file has not"
        )
    where = f"[keys.{name}]"
    if not isinstance(table, dict):
        raise AccessError(f'{where}: expected a table with sha256 = "..."')
    unknown = sorted(set(table) - _FIELDS)
    if unknown:
        # Not shown: somebody may have written a key where a field's name belongs.
        raise AccessError(
            f"{where}: {len(unknown)} unknown field(s); known: {', '.join(sorted(_FIELDS))}"
        )
    digests = table.get("sha256")
    digests = digests if isinstance(digests, list) else [digests]
    if not digests or not all(
        isinstance(each, str) and _DIGEST.fullmatch(each.lower()) for each in digests
    ):
        raise AccessError(f"{where}.sha256: {_HOW_TO_HASH}")
    return ApiKey(
        name,
        tuple(each.lower() for each in digests),
        max_connections=_limit(where, table, "max_connections", int),
        audio_seconds_per_minute=_limit(where, table, "audio_seconds_per_minute", int, float),
        expires_at_s=_moment(where, table.get("expires")),
    )


def _limit(where: str, table: dict[str, object], name: str, *kinds: type) -> int | None:
    value = table.get(name)
    if value is None:
        return None
    if type(value) not in kinds or not 1 <= value <= 1_000_000:  # type: ignore[operator]
        kind = "whole number" if kinds == (int,) else "number"
        raise AccessError(f"{where}.{name} is {_shown(value)}, expected a {kind} 1-1000000")
    return value  # type: ignore[return-value]


def _moment(where: str, value: object) -> float | None:
    if value is None:
        return None
    if type(value) is date:
        value = datetime.combine(value, time(), UTC)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise AccessError(
            f"{where}.expires is {_shown(value)}, expected a date, or a time with its offset such as "
            "2027-01-31T00:00:00Z"
        )
    return value.timestamp()


def _shown(value: object) -> str:
    """A value for the operator; of a text only its kind, since it may be a key."""
    return "a text" if isinstance(value, str) else str(value)


class KeyRing:
    """All API keys of a server. Raises AccessError for a name or a digest that is there twice."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._by_digest: dict[str, ApiKey] = {}
        names: set[str] = set()
        for key in keys:
            if key.name in names:
                raise AccessError(f"the name {key.name!r} is there twice")
            names.add(key.name)
            for each in key.digests:
                if each in self._by_digest:
                    raise AccessError(
                        f"{key.name!r} and {self._by_digest[each].name!r} have the same key"
                    )
                self._by_digest[each] = key

    def find(self, presented: str) -> tuple[str, ApiKey] | None:
        """Find the digest and the key that was presented; looks at all of them in any case."""
        presented_digest = digest(presented)
        found: tuple[str, ApiKey] | None = None
        for stored, key in self._by_digest.items():
            if hmac.compare_digest(stored, presented_digest):
                found = stored, key
        return found

    def get(self, stored_digest: str) -> ApiKey | None:
        """The key that a digest is of now."""
        return self._by_digest.get(stored_digest)

    def __len__(self) -> int:
        return len(self._by_digest)
