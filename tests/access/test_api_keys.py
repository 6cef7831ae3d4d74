from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.access import api_keys
from fasttalk_stt.access.api_keys import (
    AccessError,
    ApiKey,
    KeyRing,
    digest,
    new_key,
    read_inline_keys,
    read_key_file,
)

KEY = "ftk_" + 43 * "k"  # the same in each worker: it is part of the names of tests


def test_fresh_keys_are_long_and_different() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("ftk_") and len(key) == 47 for key in keys)


def test_inline_keys() -> None:
    text = f"backend:{digest(KEY)}, other : {digest('x')}".replace(" : ", ":")
    assert [key.name for key in read_inline_keys(text)] == ["backend", "other"]
    assert read_inline_keys(f"a:{digest(KEY).upper()}")[0].digests == (digest(KEY),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"backend:{KEY}", "the entry of 'backend' is not hashed.*fasttalk-stt keys hash"),
        (KEY, "entry 1 is not NAME:SHA256"),
        (f"{KEY}:backend", "entry 1 is not NAME:SHA256"),
        (f"a:{digest('x')},,", "entry 2 is not NAME:SHA256"),
        (f"a b:{digest('x')}", "entry 1"),
        (f"a:{digest('x')[:-1]}", "not hashed"),
    ],
)
def test_what_is_not_hashed_is_refused_and_never_shown(text: str, problem: str) -> None:
    with pytest.raises(AccessError, match=problem) as caught:
        read_inline_keys(text)
    assert KEY not in str(caught.value)


def test_key_file() -> None:
    keys = read_key_file(
        f"""
        [keys.backend]
        sha256 = ["{digest("old")}", "{digest("new")}"]
        max_connections = 20
        audio_seconds_per_minute = 1200
        expires = 2027-01-31T00:00:00Z
        [keys."demo.browser"]
        sha256 = "{digest(KEY)}"
        expires = 2027-01-31
        """
    )
    until_s = datetime(2027, 1, 31, tzinfo=UTC).timestamp()
    assert keys == (
        ApiKey("backend", (digest("old"), digest("new")), 20, 1200, until_s),
        ApiKey("demo.browser", (digest(KEY),), expires_at_s=until_s),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[keys.a]\nsha256 = ", "is not TOML"),
        ("a = 1", r"expected tables \[keys.NAME\]"),
        (f'[keys]\na = "{KEY}"', "expected a table"),
        (f'[keys.a]\nsha256 = "{KEY}"', "keys hash NAME"),
        ("[keys.a]\nsha256 = []", "keys hash NAME"),
        ("[keys.a]\nmax_connections = 1", "sha256"),
        (f'[keys.{KEY}]\nsha256 = "x"', "the name of a key"),
        (f'[keys.a]\n{KEY} = 1\nsha256 = "x"', "1 unknown field"),
        (f'[keys.a]\nsha256 = "{digest("x")}"\nmax_connections = 0', "is 0, expected a whole"),
        (f'[keys.a]\nsha256 = "{digest("x")}"\nmax_connections = 1.5', "whole number"),
        (f'[keys.a]\nsha256 = "{digest("x")}"\nmax_connections = true', "whole number"),
        (f'[keys.a]\nsha256 = "{digest("x")}"\naudio_seconds_per_minute = inf', "is inf"),
        (f'[keys.a]\nsha256 = "{digest("x")}"\nexpires = "{KEY}"', "is a text, expected a date"),
        (f'[keys.a]\nsha256 = "{digest("x")}"\nexpires = 2027-01-31T00:00:00', "with its offset"),
    ],
)
def test_bad_key_files_are_one_line_without_a_key(text: str, problem: str) -> None:
    with pytest.raises(AccessError, match=problem) as caught:
        read_key_file(text)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_and_keys_are_there_once() -> None:
    with pytest.raises(AccessError, match="'a' is there twice"):
        KeyRing([ApiKey("a", (digest("1"),)), ApiKey("a", (digest("2"),))])
    with pytest.raises(AccessError, match="'b' and 'a' have the same key"):
        KeyRing([ApiKey("a", (digest("1"),)), ApiKey("b", (digest("1"),))])


@given(st.text(max_size=60))
def test_only_the_key_itself_is_found(presented: str) -> None:
    ring = KeyRing([ApiKey("a", (digest(KEY), digest("older"))), ApiKey("b", (digest("b-key"),))])
    found = ring.find(presented)
    assert (found is not None) == (presented in {KEY, "older", "b-key"})
    assert ring.find(KEY) == (digest(KEY), ring.get(digest(KEY)))


def test_every_stored_digest_is_compared_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    original = hmac.compare_digest

    def compare(stored: str, presented: str) -> bool:
        compared.append(stored)
        return original(stored, presented)

    monkeypatch.setattr(api_keys.hmac, "compare_digest", compare)
    digests = [digest(name) for name in "abc"]
    ring = KeyRing(ApiKey(name, (each,)) for name, each in zip("abc", digests, strict=True))
    for presented in ("a", "c", "unknown", "", "\ud800"):
        compared.clear()
        ring.find(presented)
        assert compared == digests
