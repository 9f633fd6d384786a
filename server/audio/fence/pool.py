"""Asks decoding processes, which stay for the next question.

    clip = DECODERS.clip(Path("take.wav"))
    facts = await DECODERS.facts(path)

Files may be decoded in any thread.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from server.audio.fence.child import Child, ChildLost, Poll, nothing
from server.audio.fence.regular import open_regular
from server.audio.fence.wire import Answer, Ask, Facts, hand_over
from server.audio.formats import FileFormat
from server.errors import UnreadableAudio, error_for

__all__ = ["DECODERS", "DecoderPool", "Decoding"]

T = TypeVar("T")
_MAX_HEAD: Final = 2**26
"""With the metadata of a file."""
_MAX_BLOCK: Final = 2**28
_FACTS_S: Final = 10.0
_HEADERS: Final = 2
_DECODE_S: Final = 120.0


class Decoding:
    """One question to a decoder and what has been read of the answer.

    Raises:
        UnreadableAudio: the decoder died, or took longer than ``patience_s`` for a part.
    """

    def __init__(self, decoder: Child, ask: Ask, patience_s: float, poll: Poll) -> None:
        self.complete = False
        """Nothing of the answer is left to be read."""
        self._decoder = decoder
        self._ask = ask
        self._patience_s = patience_s
        self._poll = poll

    def answer(self, descriptor: int) -> Answer:
        """The head of the answer.

        Raises:
            AudioLDMError: what is wrong with the file.
        """
        try:
            hand_over(self._decoder.connection, self._ask, descriptor)
            answer = msgspec.msgpack.decode(self._framed(_MAX_HEAD), type=Answer)
        except (OSError, msgspec.DecodeError) as error:
            raise self._lost() from error
        if answer.error:
            self.complete = True
            raise error_for(answer.code, answer.error)
        return answer

    def block(self) -> bytes:
        """The next block of a stream; empty at its end."""
        return self._framed(_MAX_BLOCK)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        data = bytearray(size)
        self.read_into(memoryview(data))
        return bytes(data)

    def read_into(self, place: memoryview) -> None:
        """Fill ``place`` with what comes next."""
        try:
            self._decoder.read_into(place, self._patience_s, self._poll)
        except ChildLost as error:
            raise self._lost() from error

    def _framed(self, most: int) -> bytes:
        try:
            return self._decoder.read_framed(most, self._patience_s, self._poll)
        except ChildLost as error:
            raise self._lost() from error

    def _lost(self) -> UnreadableAudio:
        return UnreadableAudio(f"{self._ask.shown} cannot be decoded within bounds")


class DecoderPool:
    """At most ``size`` processes that decode, and two that read headers, started when needed.

    Headers are what the acceptance of a job waits for. They do not wait for what is decoded.
    """

    def __init__(self, size: int) -> None:
        self._room = threading.Semaphore(size)
        self._header_room = threading.Semaphore(_HEADERS)
        self._idle: list[Child] = []
        self._threads = ThreadPoolExecutor(size, "decoding")
        self._header_threads = ThreadPoolExecutor(_HEADERS, "headers")
        atexit.register(self.close)

    async def in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """``work`` in a thread of the pool's own: hours of decoding hold up nothing else."""
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def warm(self) -> None:
        """Start one process, so that the first question is answered as quickly as later ones."""
        with self._room, contextlib.suppress(OSError):
            if not self._idle:
                self._idle.append(_new())

    def close(self) -> None:
        """End the processes that are idle."""
        while self._idle:
            self._idle.pop().close()

    async def facts(self, path: Path) -> Facts:
        """What a file says of itself, and the recipe in it.

        Raises:
            AudioLDMError: it cannot be used.
        """
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(
            self._header_threads, self._read_header, path
        )

    def _read_header(self, path: Path) -> Facts:
        ask = Ask(what="facts", path=str(path))
        with self._asking(path, ask, _FACTS_S, nothing, self._header_room) as (_, answer):
            return _facts(answer, path)

    def checked(self, path: Path, name: str) -> Facts:
        """Decode a file, which errors call ``name``, from beginning to end.

        Raises:
            AudioLDMError: it cannot be used.
        """
        with self.asking(path, Ask(what="check", path=str(path), name=name)) as (_, answer):
            return _facts(answer, path)

    def converted(self, path: Path, file_format: FileFormat) -> bytes:
        """A file in another format.

        Raises:
            AudioLDMError: it cannot be used.
        """
        ask = Ask(what="convert", path=str(path), file_format=file_format)
        with self.asking(path, ask) as (decoding, answer):
            return decoding.read(sum(answer.sizes))

    @contextmanager
    def asking(
        self, path: Path, ask: Ask, patience_s: float = _DECODE_S, poll: Poll = nothing
    ) -> Iterator[tuple[Decoding, Answer]]:
        """A decoder that answers ``ask``; one that was not read to the end is not used again.

        Raises:
            AudioLDMError: the file cannot be used.
        """
        with self._asking(path, ask, patience_s, poll, self._room) as asked:
            yield asked

    @contextmanager
    def _asking(
        self, path: Path, ask: Ask, patience_s: float, poll: Poll, room: threading.Semaphore
    ) -> Iterator[tuple[Decoding, Answer]]:
        with open_regular(path) as descriptor, room:
            decoder = self._decoder()
            decoding = Decoding(decoder, ask, patience_s, poll)
            try:
                yield decoding, decoding.answer(descriptor)
                decoding.complete = True
            finally:
                if decoding.complete:
                    self._idle.append(decoder)
                else:
                    decoder.close()

    def _decoder(self) -> Child:
        with contextlib.suppress(IndexError):
            while not (decoder := self._idle.pop()).alive:
                decoder.close()
            return decoder
        return _new()


def _new() -> Child:
    return Child("server.audio.fence.process")


def _facts(answer: Answer, path: Path) -> Facts:
    if answer.facts is None:
        raise UnreadableAudio(f"{path} cannot be decoded within bounds")
    return answer.facts


DECODERS: Final = DecoderPool(4)
"""Of this process."""
