from __future__ import annotations

import socket

import pytest

from fasttalk_stt.listening import ListenError, bind_port

pytestmark = pytest.mark.abuse


def test_port_zero_is_chosen_by_the_system() -> None:
    with bind_port("127.0.0.1", 0, variable="WEBSOCKET_PORT") as listening:
        assert listening.getsockname()[1] > 0
        with socket.create_connection(listening.getsockname(), timeout=5):
            pass


def test_busy_port_is_one_clear_line() -> None:
    with bind_port("127.0.0.1", 0, variable="WEBSOCKET_PORT") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"^MONITORING_PORT={port}: .* in use: stop the "):
            bind_port("127.0.0.1", port, variable="MONITORING_PORT")


def test_foreign_address_is_one_clear_line() -> None:
    with pytest.raises(ListenError, match="no such address: correct WEBSOCKET_HOST"):
        bind_port("192.0.2.1", 0, variable="WEBSOCKET_PORT")
