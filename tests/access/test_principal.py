"""Who may go on with whose session."""

from __future__ import annotations

import pytest

from fasttalk_stt.access.principal import Principal

KEY, TOKEN = Principal("key", "backend"), Principal("token", "backend")
HERE, THERE = Principal("anonymous", "192.0.2.1"), Principal("anonymous", "192.0.2.2")


@pytest.mark.parametrize(
    ("newcomer", "owner", "may"),
    [
        (KEY, KEY, True),
        (KEY, Principal("key", "other"), False),
        (KEY, TOKEN, False),
        (HERE, THERE, True),
        (HERE, KEY, False),
        (KEY, HERE, False),
    ],
)
def test_who_may_take_over(newcomer: Principal, owner: Principal, may: bool) -> None:
    assert newcomer.may_take_over(owner) is may
