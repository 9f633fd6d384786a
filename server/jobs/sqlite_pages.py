"""The rows of a damaged SQLite file, read page by page without the tree that leads to them.

The format is that of https://sqlite.org/fileformat2.html: a row is read from every leaf page that
still is one. Pages in the write-ahead log replace those of the file, up to its last commit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["MAGIC", "WAL_HEADER", "Pages", "Row", "Value"]

Value = None | int | float | str | bytes
Row = tuple[Value, ...]

MAGIC: Final = b"SQLite format 3\0"
WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_WAL_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""Byte order of the checksums, by the log's first word."""
_TABLE_LEAF: Final = 13
_INDEX_LEAF: Final = 10
_USUAL_PAGE: Final = 4096
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of an integer by its serial type."""
_MAX_PAYLOAD: Final = 2**24


class Pages:
    """The pages of the file at ``path`` and of its write-ahead log, by number."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        log = path.with_name(f"{path.name}-wal")
        frames = log.read_bytes() if log.exists() else b""
        self.size = _page_size(data, frames)
        self._pages = {
            at // self.size + 1: data[at : at + self.size] for at in range(0, len(data), self.size)
        }
        self._pages |= _committed(frames, self.size)

    def table_rows(self) -> Iterator[tuple[int, Row]]:
        """The rows of all tables with their row ids."""
        for number, page in self._pages.items():
            for cell in _cells(number, page, _TABLE_LEAF):
                try:
                    size, at = _varint(page, cell)
                    row_id, at = _varint(page, at)
                    yield row_id, _record(self._payload(page, at, size, self.size - 35))
                except (IndexError, ValueError, struct.error):
                    continue  # this cell is damaged

    def index_rows(self) -> Iterator[Row]:
        """The entries of all indexes."""
        longest = (self.size - 12) * 64 // 255 - 23
        for number, page in self._pages.items():
            for cell in _cells(number, page, _INDEX_LEAF):
                try:
                    size, at = _varint(page, cell)
                    yield _record(self._payload(page, at, size, longest))
                except (IndexError, ValueError, struct.error):
                    continue

    def _payload(self, page: bytes, at: int, size: int, longest: int) -> bytes:
        """``size`` bytes from ``at`` on, which may go on in overflow pages."""
        if size > _MAX_PAYLOAD:
            raise ValueError(f"{size} bytes")
        if size <= longest:
            return page[at : at + size]
        least = (self.size - 12) * 32 // 255 - 23
        local = least + (size - least) % (self.size - 4)
        local = local if local <= longest else least
        payload = page[at : at + local]
        (following,) = struct.unpack_from(">I", page, at + local)
        while len(payload) < size:
            if following not in self._pages:
                raise ValueError("an overflow page is missing")
            more = self._pages[following]
            (following,) = struct.unpack_from(">I", more)
            payload += more[4 : 4 + size - len(payload)]
        return payload


def _page_size(data: bytes, frames: bytes) -> int:
    told = int.from_bytes(data[16:18], "big") if data.startswith(MAGIC) else 0
    for size in (65536 if told == 1 else told, int.from_bytes(frames[8:12], "big")):
        if 512 <= size <= 65536 and not size & (size - 1):
            return size
    return _USUAL_PAGE


def _committed(frames: bytes, size: int) -> dict[int, bytes]:
    """The newest pages in a write-ahead log, up to the last commit that is whole."""
    order = _WAL_MAGIC.get(int.from_bytes(frames[:4], "big"))
    if order is None or len(frames) < WAL_HEADER:
        return {}
    salts, sums = frames[16:24], _checksum(frames[:24], (0, 0), order)
    committed: dict[int, bytes] = {}
    since: dict[int, bytes] = {}
    for at in range(WAL_HEADER, len(frames) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        head, page = frames[at : at + _FRAME_HEADER], frames[at + _FRAME_HEADER :][:size]
        sums = _checksum(head[:8] + page, sums, order)
        if head[8:16] != salts or struct.unpack(">II", head[16:24]) != sums:
            break
        number, pages_after_commit = struct.unpack(">II", head[:8])
        since[number] = page
        if pages_after_commit:
            committed |= since
            since = {}
    return committed


def _checksum(data: bytes, before: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = before
    for even, odd in struct.iter_unpack(f"{order}II", data):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _cells(number: int, page: bytes, kind: int) -> tuple[int, ...]:
    """Where the cells of a leaf page of this kind begin; none where it is another page."""
    start = 100 if number == 1 else 0
    if len(page) < start + 8 or page[start] != kind:
        return ()
    (count,) = struct.unpack_from(">H", page, start + 3)
    if start + 8 + 2 * count > len(page):
        return ()
    return struct.unpack_from(f">{count}H", page, start + 8)


def _record(payload: bytes) -> Row:
    """The values of a record.

    Raises:
        ValueError, IndexError, struct.error: it is none.
    """
    end, at = _varint(payload, 0)
    kinds, place = [], end
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        value, place = _value(payload, kind, place)
        values.append(value)
    if place != len(payload):
        raise ValueError("the record has another length")
    return tuple(values)


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return (None, 0, 1)[max(0, kind - 7)], at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind < 12:
        raise ValueError(f"serial type {kind}")
    end = at + (kind - 12) // 2
    data = payload[at:end]
    return (data.decode() if kind % 2 else data), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for k in range(8):
        value = value << 7 | data[at + k] & 0x7F
        if data[at + k] < 0x80:
            return value, at + k + 1
    return value << 8 | data[at + 8], at + 9
