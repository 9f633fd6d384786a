"""Uploads and downloads in numbered chunks.

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
"""Small enough for a datagram."""
MAX_UPLOAD_BYTES: Final = 512 * 1024 * 1024

TransferId = Annotated[
    str, Meta(min_length=1, max_length=100, description="an id of the client's choice")
]
Digest = Annotated[
    str, Meta(min_length=64, max_length=64, description="SHA-256 of the file, in hexadecimal")
]
ChunkIndex = Annotated[int, Meta(ge=0, description="index of the chunk, from 0")]
Bytes = Annotated[int, Meta(ge=1, le=MAX_UPLOAD_BYTES, description="size of the file in bytes")]


class UploadReady(Reply, frozen=True):
    """An upload is open: send its chunks, one after the other."""

    address: ClassVar[str] = "/ldm/upload/ready"
    upload_id: TransferId
    chunk_bytes: Annotated[int, Meta(description="size of each chunk except the last")]
    num_chunks: Annotated[int, Meta(description="number of chunks to send")]


class UploadGot(Reply, frozen=True):
    """A chunk has arrived."""

    address: ClassVar[str] = "/ldm/upload/got"
    upload_id: TransferId
    index: ChunkIndex


class UploadDone(Reply, frozen=True):
    """The upload is complete and its checksum is correct."""

    address: ClassVar[str] = "/ldm/upload/done"
    upload_id: TransferId
    path: Annotated[str, Meta(description="path of the file, for use as clip in requests")]


class UploadStart(Command, frozen=True):
    """Start to send a sound file to the server."""

    address: ClassVar[str] = "/ldm/upload/start"
    replies: ClassVar[tuple[type[Message], ...]] = (UploadReady,)
    upload_id: TransferId
    file_name: Annotated[
        str, Meta(max_length=200, description="name of the file; its suffix gives the format")
    ]
    num_bytes: Bytes
    sha256: Digest


class UploadChunk(Command, frozen=True):
    """Send the next chunk of an upload; repeating one does no harm."""

    address: ClassVar[str] = "/ldm/upload/chunk"
    replies: ClassVar[tuple[type[Message], ...]] = (UploadGot, UploadDone)
    upload_id: TransferId
    index: ChunkIndex
    data: Annotated[bytes, Meta(description="the bytes of the chunk")]


class DownloadReady(Reply, frozen=True):
    """A download is open: request its chunks, one after the other."""

    address: ClassVar[str] = "/ldm/download/ready"
    download_id: TransferId
    file_name: Annotated[str, Meta(description="name of the file")]
    num_bytes: Annotated[int, Meta(description="size of the file in bytes")]
    num_chunks: Annotated[int, Meta(description="number of chunks to request")]
    sha256: Digest


class DownloadChunk(Reply, frozen=True):
    """One chunk of a download."""

    address: ClassVar[str] = "/ldm/download/chunk"
    download_id: TransferId
    index: ChunkIndex
    data: Annotated[bytes, Meta(description="the bytes of the chunk")]


class DownloadStart(Command, frozen=True):
    """Start to fetch a file from an allowed folder, such as a take."""

    address: ClassVar[str] = "/ldm/download/start"
    replies: ClassVar[tuple[type[Message], ...]] = (DownloadReady,)
    download_id: TransferId
    path: Annotated[
        str, Meta(max_length=4000, description="path of the file, as given by /ldm/take")
    ]


class DownloadGet(Command, frozen=True):
    """Request one chunk of a download; repeating a request does no harm."""

    address: ClassVar[str] = "/ldm/download/get"
    replies: ClassVar[tuple[type[Message], ...]] = (DownloadChunk,)
    download_id: TransferId
    index: ChunkIndex
