"""Clips that clients send: streamed to disk, named by their own checksum, decoded in a fence.

Nothing that a client says becomes part of a path. A broken transfer goes on where it stopped,
and a clip that is here already need not be sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import secrets
import time
from collections.abc import AsyncIterable, Container, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from server.audio.fence.pool import DecoderPool
from server.audio.fence.wire import Facts
from server.errors import Conflict, NotFound
from server.jobs.partial_file import PartialFile, check_size
from server.jobs.storage import check_room, write_whole
from server.json_errors import NOT_JSON
from server.locks import LEFT_OVER_S, holding

__all__ = ["Upload", "Uploads"]

log = logging.getLogger("audioldm.uploads")

_ENDINGS: Final = {"WAV": ".wav", "WAVEX": ".wav", "RF64": ".wav", "FLAC": ".flac", "OGG": ".ogg"}
_STOPPED: Final = ".resume"
"""Ending of a transfer that may go on later."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that is here; ``upload:<id>`` names it in requests."""

    id: Annotated[str, Meta(description="SHA-256 of the file")]
    bytes: int
    seconds: float
    sample_rate: int
    channels: int
    format: str


class _Stored(Upload, frozen=True, kw_only=True):
    owners: tuple[str, ...] = ()
    """Clients that have sent it; whoever only knows its SHA-256 has not."""


class Uploads:
    """The uploads folder. ``max_bytes`` is the largest clip.

    A clip is there for the clients that have sent it; ``client`` None is one that sees all.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._receiving: set[Path] = set()
        self._decoders = DecoderPool(2)
        self._keeping = asyncio.Lock()

    def path(self, upload_id: str, client: str | None) -> Path:
        """The file of a complete upload.

        Raises:
            NotFound: no such upload, or none of this client.
        """
        self._stored(upload_id, client)
        return self._file(upload_id)

    def find(self, upload_id: str, client: str | None) -> Upload:
        """A complete upload.

        Raises:
            NotFound: no such upload, or none of this client.
        """
        found = self._stored(upload_id, client)
        os.utime(self._file(upload_id))
        return _shown(found)

    def received(self, client: str, upload_id: str) -> int:
        """Bytes of an unfinished transfer that have arrived."""
        part = self._part(client, upload_id)
        return part.stat().st_size if part.exists() else 0

    async def receive(self, client: str, chunks: AsyncIterable[bytes]) -> Upload:
        """A whole clip.

        Raises:
            TooLarge, StorageFull, UnreadableAudio.
        """
        part = PartialFile(self.folder / f".{secrets.token_hex(8)}.part", self.max_bytes)
        with holding(part.path):
            try:
                await _append(part, chunks)
                return await self._complete(client, part)
            finally:
                part.remove()

    async def resume(
        self, client: str, upload_id: str, offset: int, total: int, chunks: AsyncIterable[bytes]
    ) -> Upload | None:
        """The rest of a clip from ``offset``; None where still more is missing.

        Raises:
            Conflict: ``offset`` is not where the transfer stopped, or it is going on elsewhere.
            InvalidRequest: the checksum is not the id.
            TooLarge, StorageFull, UnreadableAudio.
        """
        check_size(total, self.max_bytes)
        received = self.received(client, upload_id)
        check_room(self.folder, total - received)
        if offset != received:
            raise Conflict(f"go on at byte {received}, not at {offset}")
        path = self._part(client, upload_id)
        with self._alone(path):
            part = await PartialFile.resume(path, self.max_bytes)
            await _append(part, chunks)
            if part.received < total:
                return None
            try:
                part.verify(upload_id)
                return await self._complete(client, part)
            finally:
                part.remove()

    def retain(self, max_age_s: float, in_use: Container[str] = ()) -> int:
        """Delete clips not touched for ``max_age_s``, but not the ids ``in_use``; how many.

        Transfers that have stopped go sooner (:data:`~server.locks.LEFT_OVER_S`).
        """
        now, removed = time.time(), 0
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            age_s = min(max_age_s, LEFT_OVER_S) if path.suffix == _STOPPED else max_age_s
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < now - age_s and path.stem not in in_use:
                    path.unlink()
                    removed += path.suffix != ".json"
        return removed

    @contextlib.contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """One request at a time may write to a file."""
        if path in self._receiving:
            raise Conflict("this transfer is going on in another request")
        self._receiving.add(path)
        try:
            yield
        finally:
            self._receiving.discard(path)

    def _file(self, upload_id: str) -> Path:
        description = self._description(upload_id)
        for ending in (*_ENDINGS.values(), ".audio"):
            if (path := description.with_suffix(ending)).exists():
                return path
        raise NotFound(f"no upload {upload_id!r}; send the clip to /v1/uploads first")

    def _stored(self, upload_id: str, client: str | None) -> _Stored:
        self._file(upload_id)
        try:
            found = msgspec.json.decode(self._description(upload_id).read_bytes(), type=_Stored)
        except (OSError, *NOT_JSON) as error:
            raise NotFound(f"no upload {upload_id!r}; send the clip again") from error
        if client is not None and client not in found.owners:
            raise NotFound(f"no upload {upload_id!r}; send the clip to /v1/uploads first")
        return found

    async def _complete(self, client: str, part: PartialFile) -> Upload:
        clip = None
        if not self._is_there(part.sha256):
            clip = await self._decoders.in_thread(self._decoders.checked, part.path, "the clip")
        async with self._keeping:
            return await asyncio.to_thread(self._keep, client, part, clip)

    def _is_there(self, upload_id: str) -> bool:
        with contextlib.suppress(NotFound):
            self._stored(upload_id, None)
            return True
        return False

    def _keep(self, client: str, part: PartialFile, clip: Facts | None) -> Upload:
        """The clip under its name, also after a power cut: jobs that name it are not lost.

        Without ``clip`` it is here already.
        """
        if clip is None:
            stored = self._stored(part.sha256, None)
            os.utime(self._file(part.sha256))
        else:
            stored = _Stored(
                id=part.sha256,
                bytes=part.received,
                seconds=clip.seconds,
                sample_rate=clip.sample_rate,
                channels=clip.channels,
                format=clip.format,
            )
            part.move_to(self.folder / f"{stored.id}{_ENDINGS.get(clip.format, '.audio')}")
            log.info("upload %s: %.1f s, %d bytes", stored.id[:12], clip.seconds, stored.bytes)
        if client not in stored.owners:
            stored = msgspec.structs.replace(stored, owners=(*stored.owners, client))
            # It makes both names durable.
            write_whole(self._description(stored.id), msgspec.json.encode(stored))
        return _shown(stored)

    def _description(self, upload_id: str) -> Path:
        if not _DIGEST.fullmatch(upload_id):
            raise NotFound(f"no upload {upload_id[:80]!r}: an id is a SHA-256 in hexadecimal")
        return self.folder / f"{upload_id}.json"

    def _part(self, client: str, upload_id: str) -> Path:
        self._description(upload_id)
        own = hashlib.sha256(f"{client}\n{upload_id}".encode()).hexdigest()
        return self.folder / f".{own}{_STOPPED}"


def _shown(stored: _Stored) -> Upload:
    return Upload(**{name: getattr(stored, name) for name in Upload.__struct_fields__})


async def _append(part: PartialFile, chunks: AsyncIterable[bytes]) -> None:
    with part.appending() as append:
        async for chunk in chunks:
            append(chunk)
    await part.sync()
