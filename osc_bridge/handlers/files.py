"""Files over OSC, for clients that share neither a file system nor HTTP with the server.

Files travel in numbered chunks, each acknowledged, with the SHA-256 of the whole. The client sets
the pace: it sends or requests the next chunk when the last one has arrived. Meant for TCP; over
UDP it works because a chunk fits a datagram.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from osc_bridge.messages.files import (
    CHUNK_BYTES,
    MAX_UPLOAD_BYTES,
    DownloadChunk,
    DownloadGet,
    DownloadReady,
    DownloadStart,
    UploadChunk,
    UploadDone,
    UploadGot,
    UploadReady,
    UploadStart,
)
from osc_bridge.messages.message import Command, Reply
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Context, Handler, Service
from server.audio.fence.regular import open_regular
from server.errors import AudioLDMError, Conflict, InvalidRequest, NotFound, QueueFull, TooLarge
from server.jobs.partial_file import PartialFile, sha256_of
from server.jobs.storage import check_room
from server.locks import holding

__all__ = ["FileHandlers"]

_MAX_OPEN: Final = 16
"""Transfers that a client may have open; beyond that the oldest is dropped."""
_MAX_UPLOADS: Final = 256
"""Uploads of all clients: each holds a file open."""
_IDLE_S: Final = 600.0
_SWEEP_S: Final = 60.0
_SUFFIXES: Final = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3")

_Key = tuple[str, str]
"""A client, and the id that it chose."""


@dataclass
class _Upload:
    start: UploadStart
    part: PartialFile
    path: Path | None = None
    """The finished file."""
    touched_s: float = field(default_factory=time.monotonic)
    held: ExitStack = field(default_factory=ExitStack)
    """Keeps the part from being taken for left over."""

    def __post_init__(self) -> None:
        self.held.enter_context(holding(self.part.path))

    def finish(self, path: Path) -> None:
        """Give the finished file its name."""
        self.part.move_to(path)
        self.path = path
        self.held.close()

    def drop(self) -> None:
        """Leave no partial file behind."""
        self.part.remove()
        self.held.close()


@dataclass
class _Download:
    path: Path
    num_bytes: int
    touched_s: float = field(default_factory=time.monotonic)

    def drop(self) -> None:
        """Nothing to clean up."""


class FileHandlers:
    """Handlers of uploads and downloads."""

    def __init__(self, service: Service, folders: AllowedFolders) -> None:
        self._service = service
        self._folders = folders
        self._uploads: dict[_Key, _Upload] = {}
        self._downloads: dict[_Key, _Download] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        service.clients.forgotten.add(self._forget)

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            UploadStart: self._replying(self._upload_start),
            UploadChunk: self._replying(self._upload_chunk),
            DownloadStart: self._download_start,
            DownloadGet: self._replying(self._download_get),
        }

    def close(self) -> None:
        """Drop all transfers."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        _drop(self._uploads, list(self._uploads))
        _drop(self._downloads, list(self._downloads))

    def _replying(self, answer: Callable[[str, Any], Reply]) -> Handler:
        """A handler that sends what ``answer`` returns for a client's key and message."""
        return lambda m, c: self._service.reply(c.client, answer(c.client.key, m))

    def _upload_start(self, client: str, start: UploadStart) -> UploadReady:
        """Open an upload, or go on with one of the same content."""
        if not re.fullmatch(r"[0-9a-f]{64}", start.sha256):
            raise InvalidRequest("sha256 must be 64 lower-case hexadecimal digits")
        if Path(start.file_name).suffix.lower() not in _SUFFIXES:
            raise InvalidRequest(f"file_name {start.file_name!r}: end it in {_SUFFIXES}")
        key = (client, start.upload_id)
        known = self._uploads.get(key)
        if known is not None and known.start != start:
            raise Conflict(f"upload {start.upload_id} is already used for another file")
        if known is None:
            _make_room(self._uploads, client)
            self._check_room(start.num_bytes)
            path = self._folders.new_part(start.file_name)
            self._uploads[key] = _Upload(start, PartialFile(path, start.num_bytes))
        return UploadReady(start.upload_id, CHUNK_BYTES, _num_chunks(start.num_bytes))

    def _check_room(self, num_bytes: int) -> None:
        if sum(upload.path is None for upload in self._uploads.values()) >= _MAX_UPLOADS:
            raise QueueFull(f"{_MAX_UPLOADS} uploads are open; try again in a minute")
        check_room(self._folders.takes_folder, num_bytes)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Drop idle uploads, again and again while there are any: their clients may be gone."""
        self._sweeper = None
        _drop_idle(self._uploads)
        if self._uploads:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _upload_chunk(self, client: str, chunk: UploadChunk) -> UploadGot | UploadDone:
        """Append one chunk; the last one completes the file."""
        upload = self._uploads.get((client, chunk.upload_id))
        if upload is None:
            raise NotFound(f"no upload {chunk.upload_id!r} is open; send /ldm/upload/start first")
        upload.touched_s = time.monotonic()
        if upload.path is None and chunk.index >= upload.part.received // CHUNK_BYTES:
            self._append(upload, chunk)
            if upload.part.received == upload.start.num_bytes:
                self._complete(client, upload)
        if upload.path is None:
            return UploadGot(chunk.upload_id, chunk.index)
        return UploadDone(chunk.upload_id, str(upload.path))

    def _append(self, upload: _Upload, chunk: UploadChunk) -> None:
        received = upload.part.received
        if chunk.index > received // CHUNK_BYTES:
            raise InvalidRequest(f"chunk {chunk.index} came before chunk {received // CHUNK_BYTES}")
        expected = min(CHUNK_BYTES, upload.start.num_bytes - received)
        if len(chunk.data) != expected:
            raise InvalidRequest(
                f"chunk {chunk.index} has {len(chunk.data)} bytes; {expected} were expected"
            )
        with upload.part.appending() as append:
            append(chunk.data)

    def _complete(self, client: str, upload: _Upload) -> None:
        try:
            upload.part.verify(upload.start.sha256)
        except InvalidRequest:
            _drop(self._uploads, [(client, upload.start.upload_id)])
            raise
        suffix = Path(upload.start.file_name).suffix.lower()
        path = upload.part.path.with_name(f"{upload.start.sha256[:32]}{suffix}")
        upload.finish(path)

    async def _download_start(self, start: DownloadStart, context: Context) -> None:
        client = context.client
        path = self._folders.file(start.path)
        num_bytes = path.stat().st_size
        if num_bytes > MAX_UPLOAD_BYTES:
            raise TooLarge(f"{path} has {num_bytes} bytes; at most {MAX_UPLOAD_BYTES} are sent")
        digest = (await asyncio.to_thread(sha256_of, path)).hexdigest()
        _make_room(self._downloads, client.key)
        self._downloads[client.key, start.download_id] = _Download(path, num_bytes)
        ready = DownloadReady(
            download_id=start.download_id,
            file_name=path.name,
            num_bytes=num_bytes,
            num_chunks=_num_chunks(num_bytes),
            sha256=digest,
        )
        self._service.reply(client, ready)

    def _download_get(self, client: str, get: DownloadGet) -> DownloadChunk:
        download = self._downloads.get((client, get.download_id))
        if download is None:
            raise NotFound(f"no download {get.download_id!r} is open")
        download.touched_s = time.monotonic()
        if get.index >= _num_chunks(download.num_bytes):
            raise InvalidRequest(f"chunk {get.index}: there are {_num_chunks(download.num_bytes)}")
        try:
            with open_regular(download.path) as file:
                os.lseek(file, get.index * CHUNK_BYTES, os.SEEK_SET)
                return DownloadChunk(get.download_id, get.index, os.read(file, CHUNK_BYTES))
        except (OSError, AudioLDMError) as error:
            raise NotFound(f"{download.path} cannot be read any more: {error}") from error

    def _forget(self, client: str) -> None:
        """Drop the transfers of a client that has gone."""
        _drop(self._uploads, [key for key in self._uploads if key[0] == client])
        _drop(self._downloads, [key for key in self._downloads if key[0] == client])


def _num_chunks(num_bytes: int) -> int:
    return -(-num_bytes // CHUNK_BYTES)


def _make_room(transfers: dict[_Key, _Upload] | dict[_Key, _Download], client: str) -> None:
    """Drop idle transfers, and the client's oldest where it has too many."""
    _drop_idle(transfers)
    own = sorted((t.touched_s, k) for k, t in transfers.items() if k[0] == client)
    _drop(transfers, [key for _, key in own[: max(0, len(own) - _MAX_OPEN + 1)]])


def _drop_idle(transfers: dict[_Key, _Upload] | dict[_Key, _Download]) -> None:
    now = time.monotonic()
    _drop(transfers, [k for k, t in transfers.items() if now - t.touched_s > _IDLE_S])


def _drop(transfers: dict[_Key, _Upload] | dict[_Key, _Download], keys: list[_Key]) -> None:
    for key in keys:
        transfers.pop(key).drop()
