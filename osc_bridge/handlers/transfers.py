"""Sound through OSC itself, for clients that have neither our file system nor HTTP.

Files travel in numbered chunks, each acknowledged, the whole with its SHA-256. The client
sets the pace: it sends the next chunk, or asks for the next one, when the last has arrived.
Meant for TCP; over UDP it works with chunks small enough for a datagram.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from pathlib import Path
from typing import Any, Final

import msgspec

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
from osc_bridge.service.allowed_folders import AllowedFolders
from server.errors import Conflict, InvalidRequest, NotFound, StorageFull, TooLarge

__all__ = ["Transfers"]

_MAX_OPEN: Final = 16
"""Transfers a client may have open; the oldest is dropped."""
_IDLE_S: Final = 600.0

_Key = tuple[str, str]
"""Client and the id that it chose."""


class _Upload(msgspec.Struct):
    start: UploadStart
    part: Path
    hasher: Any
    num_bytes: int = 0
    next_index: int = 0
    path: str = ""
    touched_s: float = 0.0

    def drop(self) -> None:
        """Leave no half file behind."""
        if not self.path:
            self.part.unlink(missing_ok=True)


class _Download(msgspec.Struct):
    path: Path
    num_bytes: int
    touched_s: float = 0.0

    def drop(self) -> None:
        """Nothing is held."""


class Transfers:
    """The open transfers of all clients; ``client`` keeps equal ids apart."""

    def __init__(self, folders: AllowedFolders) -> None:
        self._folders = folders
        self._uploads: dict[_Key, _Upload] = {}
        self._downloads: dict[_Key, _Download] = {}

    def upload_start(self, client: str, start: UploadStart) -> UploadReady:
        """Open an upload; one that is open with the same content goes on.

        Raises:
            Conflict: the id is in use for another file.
            InvalidRequest: a file name or checksum that is none.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", start.sha256):
            raise InvalidRequest("sha256 must be 64 lower-case hexadecimal digits")
        if Path(start.file_name).suffix.lower() not in _ENDINGS:
            raise InvalidRequest(f"file_name {start.file_name!r}: end it in {_ENDINGS}")
        key = (client, start.upload_id)
        known = self._uploads.get(key)
        if known is not None and known.start != start:
            raise Conflict(f"upload {start.upload_id} is already used for another file")
        if known is None:
            _make_room(self._uploads, client)
            part = self._folders.new_part(start.file_name)
            self._uploads[key] = _Upload(start, part, hashlib.sha256(), touched_s=time.monotonic())
        return UploadReady(start.upload_id, CHUNK_BYTES, _num_chunks(start.num_bytes))

    def upload_chunk(self, client: str, chunk: UploadChunk) -> UploadGot | UploadDone:
        """Take one chunk; the last one completes the file.

        Raises:
            NotFound: no such upload.
            InvalidRequest: out of turn, too long, or the whole has another checksum.
        """
        upload = self._uploads.get((client, chunk.upload_id))
        if upload is None:
            raise NotFound(f"no upload {chunk.upload_id!r} is open; send /ldm/upload/start first")
        upload.touched_s = time.monotonic()
        if upload.path:
            return UploadDone(chunk.upload_id, upload.path)
        if chunk.index < upload.next_index:
            return UploadGot(chunk.upload_id, chunk.index)
        self._append(upload, chunk)
        if upload.num_bytes < upload.start.num_bytes:
            return UploadGot(chunk.upload_id, chunk.index)
        return self._complete(client, upload)

    def _append(self, upload: _Upload, chunk: UploadChunk) -> None:
        if chunk.index > upload.next_index:
            raise InvalidRequest(f"chunk {chunk.index} came before chunk {upload.next_index}")
        missing = upload.start.num_bytes - upload.num_bytes
        if len(chunk.data) != min(CHUNK_BYTES, missing):
            raise InvalidRequest(
                f"chunk {chunk.index} has {len(chunk.data)} bytes; "
                f"{min(CHUNK_BYTES, missing)} were expected"
            )
        try:
            with upload.part.open("ab") as file:
                file.write(chunk.data)
        except OSError as error:
            raise StorageFull(f"the upload cannot be kept: {error.strerror}") from error
        upload.hasher.update(chunk.data)
        upload.num_bytes += len(chunk.data)
        upload.next_index += 1

    def _complete(self, client: str, upload: _Upload) -> UploadDone:
        digest = upload.hasher.hexdigest()
        if digest != upload.start.sha256:
            self._uploads.pop((client, upload.start.upload_id)).drop()
            raise InvalidRequest(
                f"upload {upload.start.upload_id}: the checksum is {digest}; send it again"
            )
        suffix = Path(upload.start.file_name).suffix.lower()
        path = upload.part.with_name(f"{digest[:32]}{suffix}")
        upload.part.replace(path)
        upload.path = str(path)
        return UploadDone(upload.start.upload_id, upload.path)

    async def download_start(self, client: str, start: DownloadStart) -> DownloadReady:
        """Open a download.

        Raises:
            Forbidden, NotFound: not a file in an allowed folder.
            TooLarge: bigger than any transfer may be.
        """
        path = self._folders.file(start.path)
        num_bytes = path.stat().st_size
        if num_bytes > MAX_UPLOAD_BYTES:
            raise TooLarge(f"{path} has {num_bytes} bytes; at most {MAX_UPLOAD_BYTES} are sent")
        digest = await asyncio.to_thread(_digest, path)
        _make_room(self._downloads, client)
        self._downloads[(client, start.download_id)] = _Download(path, num_bytes, time.monotonic())
        chunks = _num_chunks(num_bytes)
        return DownloadReady(start.download_id, path.name, num_bytes, chunks, digest)

    def download_get(self, client: str, get: DownloadGet) -> DownloadChunk:
        """One chunk.

        Raises:
            NotFound: no such download, or the file is gone.
            InvalidRequest: no such chunk.
        """
        download = self._downloads.get((client, get.download_id))
        if download is None:
            raise NotFound(f"no download {get.download_id!r} is open")
        download.touched_s = time.monotonic()
        if get.index >= _num_chunks(download.num_bytes):
            raise InvalidRequest(f"chunk {get.index}: there are {_num_chunks(download.num_bytes)}")
        try:
            with download.path.open("rb") as file:
                file.seek(get.index * CHUNK_BYTES)
                return DownloadChunk(get.download_id, get.index, file.read(CHUNK_BYTES))
        except OSError as error:
            raise NotFound(f"{download.path} cannot be read any more: {error}") from error

    def forget(self, client: str) -> None:
        """Drop what a client that has gone left open."""
        _drop(self._uploads, [key for key in self._uploads if key[0] == client])
        _drop(self._downloads, [key for key in self._downloads if key[0] == client])

    def close(self) -> None:
        """Drop everything."""
        _drop(self._uploads, list(self._uploads))
        _drop(self._downloads, list(self._downloads))


_ENDINGS: Final = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _num_chunks(num_bytes: int) -> int:
    return -(-num_bytes // CHUNK_BYTES)


def _make_room(transfers: dict[_Key, _Upload] | dict[_Key, _Download], client: str) -> None:
    """Drop what has been idle for long, and the client's oldest where it has too many."""
    now = time.monotonic()
    _drop(transfers, [k for k, t in transfers.items() if now - t.touched_s > _IDLE_S])
    own = sorted((t.touched_s, k) for k, t in transfers.items() if k[0] == client)
    _drop(transfers, [key for _, key in own[: max(0, len(own) - _MAX_OPEN + 1)]])


def _drop(transfers: dict[_Key, _Upload] | dict[_Key, _Download], keys: list[_Key]) -> None:
    for key in keys:
        transfers.pop(key).drop()
