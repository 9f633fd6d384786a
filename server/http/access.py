"""Access: tokens, rate limits, and protection against pages of other sites.

On loopback there is one local client. ``Host`` and ``Origin`` must name this machine, so that a
page of another site can neither post here nor read by DNS rebinding. On any other address each
client sends a token. Tokens are 256 random bits, so that an unsalted SHA-256 suffices to store
them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from server.errors import Conflict, Forbidden, InvalidRequest, RateLimited, Unauthorized
from server.json_errors import NOT_JSON, without_bom

__all__ = ["LOCAL", "Caller", "Gate", "RateLimit", "TokenFile"]

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Caller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client and its limits."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    sees_all: bool = False
    """Sees and cancels everybody's jobs and takes."""
    max_queued: Annotated[int, Meta(ge=1)] = 64
    """Unfinished jobs at a time."""
    per_minute: Annotated[int, Meta(ge=1)] = 1200
    """Requests a minute; as many may come in one burst."""

    @property
    def sees_as(self) -> str | None:
        """Whose jobs, takes and clips it sees; None: everybody's."""
        return None if self.sees_all else self.name


LOCAL: Final = Caller(name="local", sees_all=True, max_queued=100_000, per_minute=1_000_000)


class _Stored(Caller, frozen=True, kw_only=True):
    sha256: str


class TokenFile:
    """Hashes of the tokens, in a JSON file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stored: list[_Stored] = []
        if path.exists():
            try:
                self._stored = msgspec.json.decode(
                    without_bom(path.read_bytes()), type=list[_Stored]
                )
            except (OSError, *NOT_JSON) as error:
                raise InvalidRequest(f"{path} cannot be read as a token file: {error}") from error

    def __len__(self) -> int:
        return len(self._stored)

    def __iter__(self) -> Iterator[str]:
        return iter([stored.name for stored in self._stored])

    def add(self, client: Caller) -> str:
        """Create a token for ``client``; it cannot be shown again.

        Raises:
            Conflict: the name has a token already.
            InvalidRequest: not a valid name.
        """
        if any(stored.name == client.name for stored in self._stored):
            raise Conflict(f"{client.name} has a token; remove it first")
        token = secrets.token_urlsafe(32)
        values = {**msgspec.to_builtins(client), "sha256": _hash(token)}
        try:
            self._stored.append(msgspec.convert(values, _Stored))
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                f"client {client.name!r}: a name has 1 to 64 letters, digits, dots, dashes or "
                "underscores; max_queued and per_minute are at least 1"
            ) from error
        self._save()
        return token

    def remove(self, name: str) -> bool:
        """Delete a client's token; False where there was none."""
        before = len(self._stored)
        self._stored = [stored for stored in self._stored if stored.name != name]
        self._save()
        return len(self._stored) < before

    def client(self, token: str) -> Caller | None:
        """The client of ``token``. All hashes are compared, so that timing reveals nothing."""
        digest, found = _hash(token), None
        for stored in self._stored:
            if hmac.compare_digest(stored.sha256, digest):
                found = stored
        return found

    def _save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self._stored)) + b"\n")
        part.replace(self.path)


class RateLimit:
    """A token bucket for each client."""

    def __init__(self) -> None:
        self._level: dict[str, tuple[float, float]] = {}

    def take(self, client: Caller) -> None:
        """Count one request.

        Raises:
            RateLimited: the bucket is empty.
        """
        now = time.monotonic()
        level, then = self._level.get(client.name, (float(client.per_minute), now))
        level = min(client.per_minute, level + (now - then) * client.per_minute / 60.0)
        self._level[client.name] = (max(0.0, level - 1.0), now)
        if level < 1.0:
            raise RateLimited(f"more than {client.per_minute} requests a minute; wait a moment")


class Gate:
    """Admits requests by their headers."""

    def __init__(self, tokens: TokenFile | None) -> None:
        """``tokens`` is None on loopback, where only programs of this machine can connect."""
        self._tokens = tokens
        self._rate = RateLimit()

    @property
    def asks_for_token(self) -> bool:
        """True where a token is needed."""
        return self._tokens is not None

    def admit(self, headers: dict[str, str]) -> Caller:
        """Identify the client by ``headers`` (lower-case names) and count the request.

        Raises:
            Unauthorized, Forbidden, RateLimited.
        """
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if origin and origin != "null" and re.sub(r"^\w+://", "", origin) != host:
            raise Forbidden(f"pages of {origin} may not use this server")
        if origin == "null":
            raise Forbidden("pages without an origin may not use this server")
        client = self._identify(headers, host)
        self._rate.take(client)
        return client

    def _identify(self, headers: dict[str, str], host: str) -> Caller:
        if self._tokens is None:
            if re.sub(r":\d+$", "", host).lower() not in _LOCAL_NAMES:
                raise Forbidden(f"host {host!r}: this server answers to localhost only")
            return LOCAL
        client = self._tokens.client(token) if (token := _token(headers)) else None
        if client is None:
            raise Unauthorized("send your token: Authorization: Bearer TOKEN")
        return client


def _token(headers: dict[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    cookies = (part.partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in cookies if name.strip() == COOKIE), "").strip()


COOKIE: Final = "audioldm_token"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
