"""Sound files with metadata, written byte by byte, and readers of their own for what comes back."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

Array = npt.NDArray[np.float64]
BEXT_TIME = 338
IXML = b'<?xml version="1.0"?>\n<BWFXML><PROJECT>FILM</PROJECT><SCENE>12</SCENE></BWFXML>'
_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


def chunk(id: bytes, data: bytes) -> bytes:
    return id + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def wave(
    samples: Array, rate: int, *chunks: bytes, mask: int = 0, tail: bytes = b"", rf64: bool = False
) -> bytes:
    """A WAV file of 16 bits with ``chunks`` before its samples and ``tail`` after them."""
    channels = samples.shape[1]
    head = (channels, rate, rate * channels * 2, channels * 2, 16)
    form = struct.pack("<HHIIHH", 0xFFFE if mask else 1, *head)
    if mask:
        form += struct.pack("<HHI", 22, 16, mask) + _GUID
    data = np.rint(samples * 32767).astype("<i2").tobytes()
    size = 0xFFFFFFFF if rf64 else len(data)
    body = chunk(b"fmt ", form) + b"".join(chunks)
    body += b"data" + struct.pack("<I", size) + data + tail
    whole = 0xFFFFFFFF if rf64 else 4 + len(body)
    if rf64:
        sizes = struct.pack("<QQQI", 4 + 36 + len(body), len(data), len(samples), 0)
        body = chunk(b"ds64", sizes) + body
    return (b"RF64" if rf64 else b"RIFF") + struct.pack("<I", whole) + b"WAVE" + body


def bext(time: int) -> bytes:
    names = b"Scene 12".ljust(256, b"\0") + b"Recorder".ljust(32, b"\0") + b"REF".ljust(32, b"\0")
    day = b"2026-11-2810:11:12"
    return names + day + struct.pack("<QH", time, 1) + bytes(254) + b"A=PCM,F=48000,\r\n"


def cue(points: list[int]) -> bytes:
    entries = [struct.pack("<II4sIII", k + 1, p, b"data", 0, 0, p) for k, p in enumerate(points)]
    return struct.pack("<I", len(points)) + b"".join(entries)


def smpl(rate: int, note: int, start: int, end: int) -> bytes:
    head = struct.pack("<9I", 0, 0, int(1e9 / rate), note, 0, 0, 0, 1, 0)
    return head + struct.pack("<6I", 0, 0, start, end, 0, 0)


def acid(beats: int, tempo: float) -> bytes:
    return struct.pack("<IHHfIHHf", 0x10, 60, 0x8000, 0.0, beats, 4, 4, tempo)


def info(names: dict[bytes, str]) -> bytes:
    entries = (chunk(id, text.encode() + b"\0") for id, text in names.items())
    return chunk(b"LIST", b"INFO" + b"".join(entries))


ADTL = chunk(
    b"LIST",
    b"adtl"
    + chunk(b"labl", struct.pack("<I", 1) + b"in\0")
    + chunk(b"labl", struct.pack("<I", 2) + b"hit\0")
    + chunk(b"ltxt", struct.pack("<II4sHHHH", 1, 200, b"rgn ", 0, 0, 0, 0)),
)


def flac_with(samples: Array, rate: int, comments: dict[str, str]) -> bytes:
    """A FLAC file with comments, a picture and a cue sheet of one track at frame 1000."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    plain = buffer.getvalue()
    at, last = 4, False
    while not last:
        last = bool(plain[at] & 0x80)
        at += 4 + int.from_bytes(plain[at + 1 : at + 4], "big")
    texts = [f"{name}={text}".encode() for name, text in comments.items()]
    listed = struct.pack("<I", 4) + b"test" + struct.pack("<I", len(texts))
    listed += b"".join(struct.pack("<I", len(text)) + text for text in texts)
    picture = (
        struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">6I", 0, 1, 1, 24, 0, 3) + b"png"
    )
    index = struct.pack(">QB3x", 0, 1)
    tracks = struct.pack(">QB12sB13xB", 1000, 1, b"", 0, 1) + index
    tracks += struct.pack(">QB12sB13xB", len(samples), 255, b"", 0, 0)
    sheet = bytes(128) + struct.pack(">QB258xB", 0, 0, 2) + tracks
    blocks = [(0, plain[8:42]), (4, listed), (6, picture), (5, sheet)]
    heads = b"".join(
        bytes([kind | (0x80 if kind == 5 else 0)]) + len(data).to_bytes(3, "big") + data
        for kind, data in blocks
    )
    return b"fLaC" + heads + plain[at:]


def aiff(
    samples: Array, rate: int, markers: dict[int, tuple[int, str]], note: int, name: str
) -> bytes:
    """An AIFF file with markers, of which the first two bound the sustained loop."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="AIFF", subtype="PCM_16")
    marks = struct.pack(">H", len(markers))
    for number, (place, label) in markers.items():
        text = bytes([len(label)]) + label.encode()
        marks += struct.pack(">HI", number, place) + text + b"\0" * (len(text) & 1)
    loop = struct.pack(">hHHhHH", 1, 1, 2, 0, 0, 0)
    inst = struct.pack(">bbbbbbh", note, 0, 0, 127, 1, 127, 0) + loop
    more = b""
    for id, data in ((b"MARK", marks), (b"INST", inst), (b"NAME", name.encode())):
        more += id + struct.pack(">I", len(data)) + data + b"\0" * (len(data) & 1)
    body = buffer.getvalue()[8:] + more
    return b"FORM" + struct.pack(">I", len(body)) + body


def cues_of(chunks: Iterable[Any]) -> list[int]:
    """The sample offsets of the cue points, in order."""
    data = next(c.data for c in chunks if c.id == b"cue ")
    (count,) = struct.unpack_from("<I", data)
    return [struct.unpack_from("<I", data, 4 + 24 * k + 20)[0] for k in range(count)]


def labels_of(file: bytes) -> dict[int, str]:
    """The labels of the cue points, by number."""
    found, at = {}, file.index(b"adtl")
    while (at := file.find(b"labl", at + 1)) >= 0:
        size, number = struct.unpack_from("<II", file, at + 4)
        found[number] = file[at + 12 : at + 8 + size].rstrip(b"\0").decode()
    return found
