"""What came with a clip and goes back with its takes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from server.audio.metadata import flac
from server.audio.metadata.aiff import from_aiff
from server.audio.metadata.flac import Block, Comments
from server.audio.metadata.ogg import ogg_comments
from server.audio.metadata.points import Move, moved_chunk, starts_too_early
from server.audio.metadata.riff import MAX_BYTES, Chunk, Chunks, read_chunks
from server.audio.metadata.texts import (
    RECIPE_COMMENT,
    comment_texts,
    commented,
    is_recipe,
    with_info,
    with_recipe_in_ixml,
)

__all__ = ["NO_METADATA", "Metadata"]

_OF_THE_SAMPLES: Final = frozenset(
    {b"fmt ", b"fact", b"PEAK", b"levl", b"JUNK", b"junk", b"PAD ", b"FLLR", b"slnt", b"MD5 "}
)
"""Chunks that describe the old samples or fill room; they are not carried."""
_STRINGS: Final = ("title", "copyright", "software", "artist", "comment", "date", "album", "genre")
_MASK_COMMENT: Final = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
_FLAC_SPEAKERS: Final = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Speakers that the number of channels means in FLAC (RFC 9639, 9.1.3)."""
_EXTENSIBLE: Final = 0xFFFE


@dataclass(frozen=True)
class Metadata:
    """The metadata of a sound file, in the terms of WAV and of FLAC."""

    chunks: tuple[Chunk, ...] = ()
    comments: Comments = ()
    blocks: tuple[Block, ...] = ()
    """Pictures, cue sheets and other programs' blocks of a FLAC file."""
    speakers: int = 0
    """Channel mask of WAVE_FORMAT_EXTENSIBLE; 0: none is named."""
    warnings: tuple[str, ...] = ()
    """What could not be carried, in sentences."""

    @classmethod
    def read(cls, source: Path | bytes, file: Any = None) -> Metadata:
        """The metadata of a file; none where they are damaged.

        Args:
            source: the file.
            file: the same as ``soundfile`` opened it, where it is known to be audio.

        Raises:
            OSError: the file cannot be read.
        """
        head = _head(source)
        if head[:4] == b"fLaC":
            return _of_flac(source, 0 if file is None else file.channels)
        if head[:4] == b"OggS":
            return cls(comments=ogg_comments(source))
        if head[:3] == b"ID3":
            return _of_id3(source, head)
        chunks = read_chunks(source)
        if chunks.form == b"WAVE":
            return _of_wave(chunks)
        if chunks.form in (b"AIFF", b"AIFC") and file is not None:
            return cls(from_aiff(chunks, file.samplerate), warnings=_left_out(chunks.left_out))
        return cls(comments=_strings(file))

    @property
    def recipe(self) -> str:
        """The recipe of ours in it; empty where there is none."""
        return next(filter(is_recipe, self.texts), "")

    @property
    def texts(self) -> Iterator[str]:
        """The texts that may be a recipe."""
        yield from comment_texts(self.chunks)
        for name in ("COMMENT", RECIPE_COMMENT, "DESCRIPTION"):
            yield from (text for key, text in self.comments if key == name)

    def moved(self, move: Move) -> Metadata:
        """The metadata with all positions moved."""
        early = any(starts_too_early(chunk, move) for chunk in self.chunks)
        said = ("the time reference (bext) lies too near to midnight and begins at 0",)
        return replace(
            self,
            chunks=tuple(moved_chunk(chunk, move) for chunk in self.chunks),
            comments=flac.moved_comments(self.comments, move),
            blocks=tuple(flac.moved_block(block, move) for block in self.blocks),
            warnings=(*self.warnings, *(said if early else ())),
        )

    def wave_chunks(self, recipe: str) -> tuple[Chunk, ...]:
        """The chunks of a WAV file with ``recipe``."""
        chunks = with_info(self.chunks, self.comments, recipe)
        return with_recipe_in_ixml(chunks, recipe)

    def flac_blocks(self, recipe: str, header: bytes, data_bytes: int) -> list[Block]:
        """The blocks of a FLAC file with ``recipe``; see :func:`flac.foreign_blocks`."""
        channels = struct.unpack_from("<H", header, 2)[0]
        comments = commented(self.chunks, self.comments, recipe)
        if self.speakers not in (0, _FLAC_SPEAKERS.get(channels)):
            comments = (*comments, (_MASK_COMMENT, f"0x{self.speakers:04X}"))
        foreign = with_recipe_in_ixml(with_info(self.chunks, (), ""), "")
        return [
            flac.comment_block(comments),
            *self.blocks,
            *flac.foreign_blocks(foreign, header, data_bytes),
        ]


NO_METADATA: Final = Metadata()


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:10]
    with source.open("rb") as stream:
        return stream.read(10)


def _of_wave(chunks: Chunks) -> Metadata:
    kept = tuple(chunk for chunk in chunks.found if chunk.id not in _OF_THE_SAMPLES)
    speakers = 0
    form = chunks.first(b"fmt ") or b""
    if len(form) >= 40 and struct.unpack_from("<H", form)[0] == _EXTENSIBLE:
        (speakers,) = struct.unpack_from("<I", form, 20)
    return Metadata(kept, speakers=speakers, warnings=_left_out(chunks.left_out))


def _of_flac(source: Path | bytes, channels: int) -> Metadata:
    blocks, left_out = flac.read_blocks(source)
    comments = tuple(
        pair
        for block in blocks
        if block.type == flac.COMMENT
        for pair in flac.comments_of(block.data)
    )
    foreign = tuple(c for c in flac.foreign_chunks(blocks) if c.id not in _OF_THE_SAMPLES)
    others = tuple(b for b in blocks if b.type != flac.COMMENT and b.data[:4] != b"riff")
    masks = [text for name, text in comments if name == _MASK_COMMENT]
    speakers = _number(masks[0]) if masks else _FLAC_SPEAKERS.get(channels, 0)
    rest = tuple(pair for pair in comments if pair[0] != _MASK_COMMENT)
    return Metadata(foreign, rest, others, speakers, _left_out(left_out))


def _of_id3(source: Path | bytes, head: bytes) -> Metadata:
    """The tag before an MP3 file."""
    size = 10 + sum((byte & 0x7F) << (7 * k) for k, byte in enumerate(reversed(head[6:10])))
    if size > MAX_BYTES:
        return Metadata(warnings=_left_out(["ID3"]))
    if isinstance(source, bytes):
        return Metadata((Chunk(b"id3 ", source[:size]),))
    with source.open("rb") as stream:
        return Metadata((Chunk(b"id3 ", stream.read(size)),))


def _strings(file: Any) -> Comments:
    """The names that libsndfile finds in any other format."""
    if file is None:
        return ()
    values = ((name.upper(), str(getattr(file, name, ""))) for name in _STRINGS)
    return tuple((name, text) for name, text in values if text)


def _left_out(names: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    shown = ", ".join(names[:5])
    return (f"metadata of the clip beyond {MAX_BYTES // 2**20} MiB were left out: {shown}",)


def _number(text: str) -> int:
    try:
        return int(text, 16) & 0xFFFFFFFF
    except ValueError:
        return 0
