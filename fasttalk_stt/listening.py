"""Listening sockets, bound before anything slow so that a busy port is known at once."""

from __future__ import annotations

import errno
import socket

_HINTS = {
    errno.EADDRINUSE: "it is in use: stop the other server or choose another port",
    errno.EACCES: "this user may not bind it: choose a port above 1023",
    errno.EADDRNOTAVAIL: "this machine has no such address: correct WEBSOCKET_HOST",
}

BACKLOG = 512
"""Connections the kernel keeps for us while the event loop is busy; the system may lower it."""


class ListenError(OSError):
    """A port cannot be bound; the message is one line for the operator."""


def bind_port(host: str, port: int, *, variable: str) -> socket.socket:
    """Listen on the first address that `host` resolves to; port 0 lets the system choose.

    `variable` is the setting to name in the ListenError. The caller closes the socket.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ListenError(f"WEBSOCKET_HOST={host}: cannot be resolved: {error.strerror}") from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        hint = _HINTS.get(error.errno or 0, error.strerror)
        raise ListenError(f"{variable}={port}: cannot listen on {host}: {hint}") from error
    return listening
