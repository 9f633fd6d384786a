"""Answers to addresses that nobody has proved, so that a forged sender harms nobody.

A datagram names its sender, and anybody may write any address there. Until a host has proved that
it receives what is sent to it, it gets at most twice the bytes that came from it. Answers beyond
that are held, and ``/ldm/cookie`` is sent instead. A client that sends the cookie back with
``/ldm/prove`` gets what was held. This machine needs no proof, and a TCP connection is one.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from osc_bridge.messages.server import Cookie
from osc_bridge.wire.codec import encode

__all__ = ["AMPLIFICATION", "HELD_BYTES", "AddressProofs"]

AMPLIFICATION: Final = 2
"""Bytes sent to a host for each byte that came from it."""
HELD_BYTES: Final = 8 * 1024
"""Answers that are held for a host that may still prove its address."""
_MAX_HOSTS: Final = 4096
_COOKIE_CHARS: Final = 7
"""42 bits. With them a question of 24 bytes pays for a first answer and the cookie."""
_COOKIE_BYTES: Final = len(encode(Cookie("x" * _COOKIE_CHARS).to_osc()))
_ASK_AGAIN_S: Final = 1.0

Transmit = Callable[[bytes], None]


@dataclass
class _Unproved:
    """A host that has not proved its address: bytes from it and to it."""

    received: int = 0
    sent: int = 0
    asked_s: float = float("-inf")
    held: deque[tuple[Transmit, bytes]] = field(default_factory=deque)
    held_bytes: int = 0

    @property
    def room(self) -> int:
        """Bytes that may be sent."""
        return AMPLIFICATION * self.received - self.sent

    def send(self, transmit: Transmit, packet: bytes) -> None:
        """Send and count a packet."""
        self.sent += len(packet)
        transmit(packet)


class AddressProofs:
    """Which hosts have proved their address, and what may be sent to the others."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._proved: OrderedDict[str, None] = OrderedDict()
        self._unproved: OrderedDict[str, _Unproved] = OrderedDict()

    def received(self, host: str, num_bytes: int) -> None:
        """Note that a datagram came from ``host``."""
        if host not in self._proved:
            self._of(host).received += num_bytes

    def send(self, host: str, packet: bytes, transmit: Transmit) -> None:
        """Send ``packet`` with ``transmit``, or hold it until ``host`` has proved its address."""
        if host in self._proved:
            self._proved.move_to_end(host)
            transmit(packet)
            return
        entry = self._of(host)
        if self._may_be_sent(entry, len(packet)):
            entry.send(transmit, packet)
            return
        if entry.held_bytes + len(packet) <= HELD_BYTES:
            entry.held_bytes += len(packet)
            entry.held.append((transmit, packet))
        if not self._was_asked(entry) and entry.room >= _COOKIE_BYTES:
            entry.asked_s = time.monotonic()
            entry.send(transmit, encode(Cookie(self.cookie(host)).to_osc()))

    def prove(self, host: str, cookie: str) -> bool:
        """Check a cookie that came back; True: what was held is sent."""
        if host in self._proved:
            return True
        if not hmac.compare_digest(cookie.encode("utf-8", "replace"), self.cookie(host).encode()):
            return False
        self.trust(host)
        return True

    def trust(self, host: str) -> None:
        """Note that ``host`` receives what is sent to it."""
        self._proved[host] = None
        self._proved.move_to_end(host)
        if len(self._proved) > _MAX_HOSTS:
            self._proved.popitem(last=False)
        entry = self._unproved.pop(host, None)
        for transmit, packet in entry.held if entry else ():
            transmit(packet)

    def cookie(self, host: str) -> str:
        """What ``host`` must send back; nothing is kept for it."""
        digest = hmac.digest(self._secret, host.encode(), "sha256")
        return urlsafe_b64encode(digest)[:_COOKIE_CHARS].decode()

    def _may_be_sent(self, entry: _Unproved, num_bytes: int) -> bool:
        """Room for the cookie is kept, but for a first answer no longer than its question."""
        left = entry.room - num_bytes
        first = not entry.sent and num_bytes <= entry.received
        return left >= 0 and (first or left >= _COOKIE_BYTES or self._was_asked(entry))

    def _was_asked(self, entry: _Unproved) -> bool:
        return time.monotonic() - entry.asked_s < _ASK_AGAIN_S

    def _of(self, host: str) -> _Unproved:
        entry = self._unproved.get(host)
        if entry is None:
            if len(self._unproved) >= _MAX_HOSTS:
                self._unproved.popitem(last=False)
            entry = self._unproved[host] = _Unproved()
        return entry
