"""Datagrams that nobody sends who means well, from a seeded generator."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

from osc_bridge.messages.addresses import TABLE
from osc_bridge.wire.codec import OscMessage, encode, encode_bundle

MAX_BYTES = 60_000
PATHS = (
    *("../escape", "/etc/passwd", "a/../../escape", "~root/x", "\0", "//escape", "%2e%2e/e"),
    *("takes/../../../../../../../../tmp/escape", "..\\..\\escape", "CON", "a" * 5000),
)


class Hostile:
    """Makes datagrams; ``outside`` is a folder in which nothing may appear."""

    def __init__(self, seed: int, outside: Path) -> None:
        self._random = random.Random(seed)
        self._outside = outside
        self._addresses = [command.address for command in TABLE.commands]
        self._makers: tuple[Callable[[], bytes], ...] = (
            self.random_bytes,
            self.random_osc,
            self.truncated,
            self.damaged,
            self.pattern,
            self.future,
            self.nested,
            self.absurd_sizes,
            self.huge_string,
            self.traversal,
            self.wrong_arguments,
            self.many_questions,
        )

    def datagram(self) -> bytes:
        return self._random.choice(self._makers)()[:MAX_BYTES]

    def random_bytes(self) -> bytes:
        return self._random.randbytes(self._random.choice((1, 3, 8, 40, 400, 1400)))

    def random_osc(self) -> bytes:
        tags = "".join(self._random.choices("ifsbhdTFNI[]trmcSxyz", k=self._random.randint(0, 40)))
        address = self._random.choice((*self._addresses, "/", "/x", "/ldm"))
        header = padded(address.encode()) + padded(b"," + tags.encode())
        return header + self._random.randbytes(4 * self._random.randint(0, 60))

    def truncated(self) -> bytes:
        whole = self.good()
        return whole[: self._random.randint(0, len(whole))]

    def damaged(self) -> bytes:
        data = bytearray(self.good())
        for _ in range(self._random.randint(1, 6)):
            data[self._random.randrange(len(data))] = self._random.randrange(256)
        return bytes(data)

    def pattern(self) -> bytes:
        star = "/*a" * self._random.randint(1, 80)
        text = self._random.choice((star, "/ldm/*", "/[a-z]*", "/{ldm,x}/ping", "/ldm/pin?", "//*"))
        return padded(text.encode()) + padded(b",")

    def future(self) -> bytes:
        ahead_s = self._random.choice((0.01, 3.0, 3000.0, 1e6, 2e9, -1e6))
        when_s = max(0.0, min(time.time() + ahead_s, 2**32 - 2_208_988_801))
        return encode_bundle([OscMessage("/ldm/ping", (1,))] * 3, when_s)

    def nested(self) -> bytes:
        data = padded(b"/a")
        for _ in range(self._random.choice((2, 8, 100, 2000))):
            data = b"#bundle\0" + bytes(7) + b"\x01" + struct.pack(">i", len(data)) + data
        return data

    def absurd_sizes(self) -> bytes:
        size = self._random.choice((-1, -4, 0, 4, 2**31 - 1, -(2**31)))
        header = b"#bundle\0" + bytes(7) + b"\x01" + struct.pack(">i", size)
        blob = padded(b"/ldm/text") + padded(b",sb") + padded(b"a") + struct.pack(">i", size)
        return self._random.choice((header, header + b"/a\0\0", blob, header * 50))

    def huge_string(self) -> bytes:
        text = self._random.choice("aé\x01%") * self._random.choice((3000, 40_000))
        return encode(OscMessage(self._random.choice(self._addresses), (text[:20_000], text, 1)))

    def traversal(self) -> bytes:
        path = self._random.choice((str(self._outside / "x"), *PATHS))
        return encode(
            self._random.choice(
                (
                    OscMessage("/ldm/text", ("t", "rain", "folder", path, "seed", -1)),
                    OscMessage("/ldm/text", ("t", "", "folder", path)),
                    OscMessage("/ldm/download/start", ("d", path)),
                    OscMessage("/ldm/upload/start", ("u", path + ".wav", 10, "0" * 64)),
                    OscMessage("/ldm/transfer", ("t", "rain", "clip", path, "folder", path)),
                )
            )
        )

    def wrong_arguments(self) -> bytes:
        values = (float("nan"), float("inf"), -1, 2**62, "", "x", b"\0", None, True, [1, [2]])
        arguments = self._random.choices(values, k=self._random.randint(0, 12))
        address = self._random.choice(self._addresses)
        if address == "/ldm/notify":  # else every message would be told to us as a notice
            arguments = [0]
        return encode(OscMessage(address, arguments))

    def many_questions(self) -> bytes:
        address = self._random.choice(("/ldm/help", "/ldm/status", "/ldm/job/list", "/ldm/ping"))
        count = self._random.choice((1, 10, 250))
        return encode_bundle([OscMessage(address)] * count)

    def good(self) -> bytes:
        arguments = ("id", "rain", "seed", 3, "num_inference_steps", 2000, "width", 2.5)
        return encode(OscMessage("/ldm/text", arguments))


def padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)
