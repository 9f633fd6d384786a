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

from server.audio.probe import ClipInfo, probe
from server.errors import Conflict, NotFound
from server.jobs.partial_file import PartialFile, check_size
from server.jobs.storage import write_whole
from server.json_errors import NOT_JSON

__all__ = ["Upload", "Uploads"]

log = logging.getLogger("audioldm.uploads")

_ENDINGS: Final = {"WAV": ".wav", "WAVEX": ".wav", "RF64": ".wav", "FLAC": ".flac", "OGG": ".ogg"}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that is here; ``upload:<id>`` names it in requests."""

    id: Annotated[str, Meta(description="SHA-256 of the file")]
    bytes: int
    seconds: float
    sample_rate: int
    channels: int
    format: str


class Uploads:
    """The uploads folder. ``max_bytes`` is the largest clip."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._receiving: set[Path] = set()
        self._probes = asyncio.Semaphore(2)
        self._keeping = asyncio.Lock()

    def path(self, upload_id: str) -> Path:
        """The file of a complete upload.

        Raises:
            NotFound: no such upload.
        """
        description = self._description(upload_id)
        for ending in (*_ENDINGS.values(), ".audio"):
            if (path := description.with_suffix(ending)).exists():
                return path
        raise NotFound(f"no upload {upload_id!r}; send the clip to /v1/uploads first")

    def find(self, upload_id: str) -> Upload:
        """A complete upload.

        Raises:
            NotFound: no such upload.
        """
        self.path(upload_id)
        try:
            found = msgspec.json.decode(self._description(upload_id).read_bytes(), type=Upload)
        except (OSError, *NOT_JSON) as error:
            raise NotFound(f"no upload {upload_id!r}; send the clip again") from error
        os.utime(self.path(upload_id))
        return found

    def received(self, client: str, upload_id: str) -> int:
        """Bytes of an unfinished transfer that have arrived."""
        part = self._part(client, upload_id)
        return part.stat().st_size if part.exists() else 0

    async def receive(self, chunks: AsyncIterable[bytes]) -> Upload:
        """A whole clip.

        Raises:
            TooLarge, StorageFull, UnreadableAudio.
        """
        part = PartialFile(self.folder / f".{secrets.token_hex(8)}.part", self.max_bytes)
        try:
            await _append(part, chunks)
            return await self._complete(part)
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
                return await self._complete(part)
            finally:
                part.remove()

    def retain(self, max_age_s: float, in_use: Container[str] = ()) -> int:
        """Delete clips and transfers not touched for long, but not the ids ``in_use``; how many."""
        oldest, removed = time.time() - max_age_s, 0
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest and path.stem not in in_use:
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

    async def _complete(self, part: PartialFile) -> Upload:
        with contextlib.suppress(NotFound):
            return self.find(part.sha256)
        async with self._probes:
            clip = await probe(part.path)
        async with self._keeping:
            return await asyncio.to_thread(self._keep, part, clip)

    def _keep(self, part: PartialFile, clip: ClipInfo) -> Upload:
        """The clip under its name, also after a power cut: jobs that name it are not lost."""
        upload = Upload(id=part.sha256, bytes=part.received, **msgspec.structs.asdict(clip))
        description = self._description(upload.id)
        part.move_to(description.with_suffix(_ENDINGS.get(clip.format, ".audio")))
        # It makes both names durable.
        write_whole(description, msgspec.json.encode(upload))
        log.info("upload %s: %.1f s, %d bytes", upload.id[:12], clip.seconds, upload.bytes)
        return upload

    def _description(self, upload_id: str) -> Path:
        if not _DIGEST.fullmatch(upload_id):
            raise NotFound(f"no upload {upload_id[:80]!r}: an id is a SHA-256 in hexadecimal")
        return self.folder / f"{upload_id}.json"

    def _part(self, client: str, upload_id: str) -> Path:
        self._description(upload_id)
        own = hashlib.sha256(f"{client}\n{upload_id}".encode()).hexdigest()
        return self.folder / f".{own}.resume"


async def _append(part: PartialFile, chunks: AsyncIterable[bytes]) -> None:
    with part.appending() as append:
        async for chunk in chunks:
            append(chunk)
    await part.sync()
