"""Whose address it is: that of the socket, or what a trusted proxy says it was."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from fasttalk_stt.access.carriers import Request

Address = IPv4Address | IPv6Address

UNKNOWN = "local"
"""For a peer without an address, as behind a Unix socket."""

_IPV6_HOME = 64
"""Bits of an IPv6 address that one subscriber shares; the rest is free for the taking."""


def read_networks(text: str) -> tuple[str, ...]:
    """Read networks in CIDR notation, separated by commas. Raises ValueError."""
    return tuple(str(ip_network(part.strip())) for part in text.split(","))


def client_address(request: Request, trusted: Sequence[str]) -> str:
    """Tell the address of the client behind `trusted` networks.

    X-Forwarded-For is read from its end, where our own proxies wrote, and as far as they did: the
    first address that is not one of theirs is the client's. What stands before it, anybody could have
    written.
    """
    networks = [ip_network(each) for each in trusted]
    address = _address(request.peer)
    if address is None:
        return UNKNOWN
    hops = [hop for header in request.forwarded_for for hop in header.split(",")]
    for hop in reversed(hops):
        if not any(address in network for network in networks):
            break
        before = _address(hop)
        if before is None:
            break
        address = before
    return str(address)


def rate_key(address: str) -> str:
    """What a limit for each address counts: of IPv6 the network that one subscriber has."""
    parsed = _address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, _IPV6_HOME), strict=False))
    return address


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(text: str | None) -> Address | None:
    """Parse an address as proxies write it: also with a port, or in brackets."""
    text = (text or "").strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
