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
from collections.abc import AsyncIterable, Container
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from server.audio.probe import ClipInfo, probe
from server.errors import Conflict, InvalidRequest, NotFound, StorageFull, TooLarge
from server.jobs.storage import check_room, write_whole
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
        part = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            await self._append(part, chunks, 0)
            return await self._complete(part)
        finally:
            part.unlink(missing_ok=True)

    async def resume(
        self, client: str, upload_id: str, offset: int, total: int, chunks: AsyncIterable[bytes]
    ) -> Upload | None:
        """The rest of a clip from ``offset``; None where still more is missing.

        Raises:
            Conflict: ``offset`` is not where the transfer stopped, or it is going on elsewhere.
            InvalidRequest: the checksum is not the id.
            TooLarge, StorageFull, UnreadableAudio.
        """
        self._check_size(total)
        part = self._part(client, upload_id)
        if offset != self.received(client, upload_id):
            raise Conflict(f"go on at byte {self.received(client, upload_id)}, not at {offset}")
        await self._append(part, chunks, offset)
        if part.stat().st_size < total:
            return None
        try:
            return await self._complete(part, upload_id)
        finally:
            part.unlink(missing_ok=True)

    def retain(self, max_age_s: float, in_use: Container[str] = ()) -> int:
        """Delete clips and transfers not touched for long, but not the ids ``in_use``; how many."""
        oldest, removed = time.time() - max_age_s, 0
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest and path.stem not in in_use:
                    path.unlink()
                    removed += path.suffix != ".json"
        return removed

    async def _append(self, part: Path, chunks: AsyncIterable[bytes], size: int) -> None:
        if part in self._receiving:
            raise Conflict("this transfer is going on in another request")
        self._receiving.add(part)
        try:
            check_room(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("ab") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    self._check_size(size)
                    file.write(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        except OSError as error:
            raise StorageFull(f"the clip cannot be kept: {error.strerror}") from error
        except TooLarge:
            part.unlink(missing_ok=True)
            raise
        finally:
            self._receiving.discard(part)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise TooLarge(f"{size} bytes; at most {self.max_bytes} are taken for a clip")

    async def _complete(self, part: Path, expected: str = "") -> Upload:
        digest = await asyncio.to_thread(_digest, part)
        if expected and digest != expected:
            raise InvalidRequest(f"the checksum is {digest}, not {expected}; send it again")
        with contextlib.suppress(NotFound):
            return self.find(digest)
        async with self._probes:
            clip = await probe(part)
        async with self._keeping:
            return await asyncio.to_thread(self._keep, part, digest, clip)

    def _keep(self, part: Path, digest: str, clip: ClipInfo) -> Upload:
        """The clip under its name, also after a power cut: jobs that name it are not lost."""
        upload = Upload(id=digest, bytes=part.stat().st_size, **msgspec.structs.asdict(clip))
        description = self._description(digest)
        try:
            part.replace(description.with_suffix(_ENDINGS.get(clip.format, ".audio")))
        except OSError as error:
            raise StorageFull(f"the clip cannot be kept: {error.strerror}") from error
        # It makes both names durable.
        write_whole(description, msgspec.json.encode(upload))
        log.info("upload %s: %.1f s, %d bytes", digest[:12], clip.seconds, upload.bytes)
        return upload

    def _description(self, upload_id: str) -> Path:
        if not _DIGEST.fullmatch(upload_id):
            raise NotFound(f"no upload {upload_id[:80]!r}: an id is a SHA-256 in hexadecimal")
        return self.folder / f"{upload_id}.json"

    def _part(self, client: str, upload_id: str) -> Path:
        self._description(upload_id)
        own = hashlib.sha256(f"{client}\n{upload_id}".encode()).hexdigest()
        return self.folder / f".{own}.resume"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
