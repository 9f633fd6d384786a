"""Files through OSC itself, in numbered chunks.

>>> UploadStart("u1", "loop.wav", 3, "ab" * 32).to_osc().arguments[:3]
('u1', 'loop.wav', 3)
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta

from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "CHUNK_BYTES",
    "DownloadChunk",
    "DownloadGet",
    "DownloadReady",
    "DownloadStart",
    "MAX_UPLOAD_BYTES",
    "UploadChunk",
    "UploadDone",
    "UploadGot",
    "UploadReady",
    "UploadStart",
]

CHUNK_BYTES: Final = 32 * 1024
"""Fits a datagram, and a TCP frame with room to spare."""
MAX_UPLOAD_BYTES: Final = 512 * 1024 * 1024

TransferId = Annotated[
    str, Meta(min_length=1, max_length=100, description="an id that the client chose")
]
Digest = Annotated[
    str, Meta(min_length=64, max_length=64, description="SHA-256 of the file, hexadecimal")
]
ChunkIndex = Annotated[int, Meta(ge=0, description="which chunk, from 0")]
Bytes = Annotated[int, Meta(ge=1, le=MAX_UPLOAD_BYTES, description="size of the file")]


class UploadReady(Reply, frozen=True):
    """Send the chunks now, one after the other."""

    address: ClassVar[str] = "/ldm/upload/ready"
    upload_id: TransferId
    chunk_bytes: Annotated[int, Meta(description="size of each chunk but the last")]
    num_chunks: int


class UploadGot(Reply, frozen=True):
    """A chunk has arrived."""

    address: ClassVar[str] = "/ldm/upload/got"
    upload_id: TransferId
    index: ChunkIndex


class UploadDone(Reply, frozen=True):
    """The file is complete and its checksum right; ``path`` can be used in requests."""

    address: ClassVar[str] = "/ldm/upload/done"
    upload_id: TransferId
    path: str


class UploadStart(Command, frozen=True):
    """Begin to send a sound file to the server."""

    address: ClassVar[str] = "/ldm/upload/start"
    replies: ClassVar[tuple[type[Message], ...]] = (UploadReady,)
    upload_id: TransferId
    file_name: Annotated[str, Meta(max_length=200, description="its ending says what it is")]
    num_bytes: Bytes
    sha256: Digest


class UploadChunk(Command, frozen=True):
    """The next chunk of a file; a repeated one does no harm."""

    address: ClassVar[str] = "/ldm/upload/chunk"
    replies: ClassVar[tuple[type[Message], ...]] = (UploadGot, UploadDone)
    upload_id: TransferId
    index: ChunkIndex
    data: bytes


class DownloadReady(Reply, frozen=True):
    """Ask for the chunks now, one after the other."""

    address: ClassVar[str] = "/ldm/download/ready"
    download_id: TransferId
    file_name: str
    num_bytes: int
    num_chunks: int
    sha256: Digest


class DownloadChunk(Reply, frozen=True):
    """A piece of the file."""

    address: ClassVar[str] = "/ldm/download/chunk"
    download_id: TransferId
    index: ChunkIndex
    data: bytes


class DownloadStart(Command, frozen=True):
    """Begin to fetch a file from an allowed folder, such as a take."""

    address: ClassVar[str] = "/ldm/download/start"
    replies: ClassVar[tuple[type[Message], ...]] = (DownloadReady,)
    download_id: TransferId
    path: Annotated[str, Meta(max_length=4000, description="as given by /ldm/take")]


class DownloadGet(Command, frozen=True):
    """Ask for one chunk; asking again does no harm."""

    address: ClassVar[str] = "/ldm/download/get"
    replies: ClassVar[tuple[type[Message], ...]] = (DownloadChunk,)
    download_id: TransferId
    index: ChunkIndex
