"""The file API of the Hugging Face Hub on loopback, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10_000
"""Larger files are stored as the Hub stores weights: with a SHA-256."""


@dataclass
class HubStandIn:
    """Serves ``repositories``, each a folder."""

    repositories: dict[str, Path]
    url: str = ""
    status: dict[str, int] = field(default_factory=dict)
    """Repositories that answer with an error; 403 is a gated one."""
    cut_after: int | None = None
    """Bytes after which the next download of a large file is cut off, once."""
    damaged: bool = False
    """Large files arrive with a byte changed."""
    bytes_per_s: float = 0.0
    """Large files come this slowly; 0 for at once."""
    ranges: list[str] = field(default_factory=list)
    """The ``Range`` headers of all requests."""
    sent: int = 0

    def info(self, repository: str) -> dict[str, Any]:
        """What ``/api/models`` answers."""
        folder = self.repositories[repository]
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            "_id": "1",
            "id": repository,
            "modelId": repository,
            "sha": COMMIT,
            "private": False,
            "gated": False,
            "downloads": 0,
            "tags": [],
            "cardData": {"license": "cc0-1.0"},
            "siblings": [_sibling(folder, path) for path in files],
        }


@contextmanager
def hub_stand_in(repositories: dict[str, Path]) -> Iterator[HubStandIn]:
    """The stand-in, while the block runs."""
    stand_in = HubStandIn(repositories)

    class Handler(_Handler):
        hub = stand_in

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        repository = "/".join(parts[2:4] if is_api else parts[:2])
        if code := self.hub.status.get(repository, 0):
            self._refuse(code)
        elif repository not in self.hub.repositories:
            # As the Hub does for strangers.
            self._refuse(401)
        elif is_api:
            self._send(json.dumps(self.hub.info(repository)).encode(), "application/json")
        else:
            self._file(self.hub.repositories[repository] / "/".join(parts[4:]))

    def _refuse(self, code: int) -> None:
        kind = {403: "GatedRepo", 404: "RepoNotFound", 401: "RepoNotFound"}.get(code)
        self.send_response(code)
        if kind:
            self.send_header("X-Error-Code", kind)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _file(self, path: Path) -> None:
        if not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        first = self._first_byte(len(content))
        self.send_response(206 if first else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self._body(content[first:], large=len(content) > LARGE)

    def _first_byte(self, size: int) -> int:
        wanted = self.headers.get("Range", "")
        if not wanted:
            return 0
        self.hub.ranges.append(wanted)
        return min(size, int(wanted.removeprefix("bytes=").partition("-")[0]))

    def _body(self, content: bytes, *, large: bool) -> None:
        hub = self.hub
        if large and hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        cut = hub.cut_after if large else None
        if cut is not None and cut < len(content):
            hub.cut_after = None
            content = content[:cut]
            self.close_connection = True
        step = 1 << 16
        for place in range(0, len(content), step):
            block = content[place : place + step]
            self.wfile.write(block)
            hub.sent += len(block)
            if large and hub.bytes_per_s:
                time.sleep(len(block) / hub.bytes_per_s)


def _sibling(folder: Path, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    name, size = path.relative_to(folder).as_posix(), len(content)
    blob = hashlib.sha1(f"blob {size}\0".encode() + content).hexdigest()
    found: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob}
    if size > LARGE:
        digest = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"sha256": digest, "size": size, "pointerSize": 130}
    return found
