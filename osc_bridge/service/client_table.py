"""The known clients, and the state that is kept for each.

A client is the address that its replies go to. Two programs never share one, and a program that
sends from random ports is one client as long as it names the same reply port.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from osc_bridge.messages.server import Synced
from server.errors import QueueFull
from server.jobs.job import Preview
from server.listeners import Listeners

__all__ = ["KnownClient", "ClientTable", "Reported", "Sender"]

MAX_CLIENTS: Final = 4096
MAX_NOTIFIED: Final = 64
"""Clients with notices on. UDP clients do not sign off, so the oldest lose their notices."""
MAX_REQUEST_IDS: Final = 1024
"""Request ids that are kept for each client."""
MAX_OUTSTANDING: Final = 512
"""Messages of one client whose handlers may wait at once."""
MAX_OUTSTANDING_BYTES: Final = 4 * 2**20
MAX_SYNCS: Final = 64
"""Questions of one client that wait for the end of its jobs."""
_ERRORS_PER_S: Final = 50.0
_ERROR_BURST: Final = 200.0


@dataclass(frozen=True)
class Sender:
    """Where a packet came from, and how to answer it."""

    key: str
    send: Callable[[bytes], None]
    at_port: Callable[[int], Sender] | None = None
    """The same host at another port; None for a connection."""
    is_local: bool = False
    """True for a program on this machine."""
    host: str = ""
    """The host, where packets do not come over a connection."""


@dataclass
class Reported:
    """What a client has been sent about one of its jobs."""

    request_id: str
    completion: bytes = b""
    num_takes: int = 0
    step: int = 0
    preview: Preview | None = None


@dataclass
class KnownClient:
    """The state of one client."""

    sender: Sender
    notify: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    open_jobs: dict[str, Reported] = field(default_factory=dict)
    job_ids: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """Request id to job id, the newest last."""
    syncs: list[tuple[Synced, set[str]]] = field(default_factory=list)
    tail: asyncio.Task[None] | None = None
    """The handler that was started last; the next one waits for it."""
    outstanding: int = 0
    outstanding_bytes: int = 0
    warned: str = ""
    """What it was told of the journal's state."""
    _errors: float = _ERROR_BURST
    _errors_s: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> str:
        """The name of the client in logs and notices, and as owner of jobs."""
        return self.sender.key

    @property
    def busy(self) -> bool:
        """True where forgetting it would lose replies."""
        return bool(self.open_jobs or self.notify or self.outstanding)

    def remember(self, request_id: str, job_id: str) -> None:
        """Keep a request id and its job id, for later questions."""
        if request_id:
            self.job_ids[request_id] = job_id
            self.job_ids.move_to_end(request_id)
            while len(self.job_ids) > MAX_REQUEST_IDS:
                self.job_ids.popitem(last=False)

    def may_send_error(self) -> bool:
        """Limit error replies to 50 a second, so that two programs cannot answer each other."""
        now = time.monotonic()
        refill = (now - self._errors_s) * _ERRORS_PER_S
        self._errors, self._errors_s = min(_ERROR_BURST, self._errors + refill), now
        if self._errors < 1:
            return False
        self._errors -= 1
        return True

    def add_sync(self, synced: Synced) -> None:
        """Answer ``synced`` when the jobs that are open now have ended.

        Raises:
            QueueFull: too many of these wait.
        """
        if len(self.syncs) >= MAX_SYNCS:
            raise QueueFull(f"{MAX_SYNCS} of your /ldm/sync are waiting; wait for one of them")
        self.syncs.append((synced, set(self.open_jobs)))

    def check_outstanding(self, size: int) -> None:
        """Check how many handlers of this client wait, and for how many bytes with ``size`` more.

        Raises:
            QueueFull: too many.
        """
        if self.outstanding_bytes + size > MAX_OUTSTANDING_BYTES and self.outstanding:
            raise QueueFull(
                f"your messages that are being handled take {self.outstanding_bytes // 1024} KiB; "
                "wait for them"
            )
        if self.outstanding >= MAX_OUTSTANDING:
            raise QueueFull(f"{MAX_OUTSTANDING} of your messages are being handled; wait for them")


class ClientTable:
    """Clients by key; when the table is full, the least recently active one is dropped."""

    def __init__(self) -> None:
        self.forgotten: Listeners[str] = Listeners("a client that has gone")
        """Called with the key of each client that is dropped."""
        self._clients: OrderedDict[str, KnownClient] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[KnownClient]:
        return iter(tuple(self._clients.values()))

    def get(self, key: str) -> KnownClient | None:
        """The client with this key; None where it is not known."""
        return self._clients.get(key)

    def of(self, sender: Sender) -> KnownClient:
        """The client of ``sender``, added where it is new."""
        client = self._clients.get(sender.key)
        if client is None:
            self._make_room()
            client = self._clients[sender.key] = KnownClient(sender)
        else:
            client.sender = sender
            self._clients.move_to_end(sender.key)
        return client

    def forget(self, key: str) -> None:
        """Drop a client that has gone."""
        if self._clients.pop(key, None) is not None:
            self.forgotten.notify(key)

    def notified(self) -> list[KnownClient]:
        """The clients with notices on, the most recently active at the end."""
        return [client for client in self._clients.values() if client.notify]

    def end_oldest_notices(self) -> list[KnownClient]:
        """Switch notices off for the clients beyond the limit; returns them."""
        too_many = self.notified()[:-MAX_NOTIFIED]
        for client in too_many:
            client.notify = False
        return too_many

    def _make_room(self) -> None:
        if len(self._clients) < MAX_CLIENTS:
            return
        idle = next((key for key, client in self._clients.items() if not client.busy), None)
        self.forget(next(iter(self._clients)) if idle is None else idle)
