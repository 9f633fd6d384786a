"""How many connections there may be, and how long they may take."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Final

import msgspec

__all__ = ["MAX_HEAD_BYTES", "ConnectionLimits", "address_group", "is_loopback"]

MAX_HEAD_BYTES: Final = 16 * 1024
"""Longest head of an HTTP request."""
_SHARE: Final = 3
"""A listener takes at most one descriptor in three of those that the process may open."""


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one listening port; times are in seconds."""

    total: int = 256
    """Connections at a time. A new one replaces the one that has been idle the longest."""
    per_address: int = 64
    """Of them from one address other than loopback; IPv6 counts by the /64 network."""
    head_s: float = 10.0
    """For the head of a request."""
    stall_s: float = 30.0
    """Without progress, while a body arrives or an answer is read."""
    idle_s: float = 30.0
    """Between the requests of a connection."""

    @property
    def affordable(self) -> int:
        """``total``, or less where the process may open few descriptors."""
        return max(1, min(self.total, _max_descriptors() // _SHARE))


def is_loopback(host: str) -> bool:
    """True for addresses that only this machine can reach.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("192.168.1.2")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_group(host: str) -> str:
    """What counts as one address: an IPv4 address, or a /64 network of IPv6.

    >>> address_group("192.0.2.1"), address_group("::ffff:192.0.2.1")
    ('192.0.2.1', '192.0.2.1')
    >>> address_group("2001:db8::1") == address_group("2001:db8::2:1")
    True
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _max_descriptors() -> int:
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return soft if soft > 0 else 2**20
    return 2**20
