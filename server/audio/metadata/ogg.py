"""Comments of Ogg files (RFC 3533): Vorbis, Opus and FLAC in Ogg."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from server.audio.metadata.flac import Comments, comments_of

__all__ = ["ogg_comments"]

_MAX_BYTES: Final = 2**20
"""Comments are in the second packet, near the beginning."""
_HEADS: Final = (b"\x03vorbis", b"OpusTags", b"\x84\x00\x00\x00")


def ogg_comments(source: Path | bytes) -> Comments:
    """The comments of an Ogg file; none where they are missing or damaged.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        data = source[:_MAX_BYTES]
    else:
        with source.open("rb") as stream:
            data = stream.read(_MAX_BYTES)
    packet = _second_packet(data)
    head = next((head for head in _HEADS if packet.startswith(head)), None)
    if head is None and packet[:1] == b"\x84" and len(packet) > 4:
        head = packet[:4]
    return () if head is None else comments_of(packet[len(head) :])


def _second_packet(data: bytes) -> bytes:
    at, number, packet = 0, 0, b""
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        sizes = data[at + 27 : at + 27 + data[at + 26]]
        at += 27 + data[at + 26]
        for size in sizes:
            packet += data[at : at + size] if number else b""
            at += size
            if size < 255:
                if number:
                    return packet
                number = 1
    return packet
