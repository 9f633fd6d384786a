"""A long file, played while it is decoded: a few seconds of it lie in the sample store.

To the mixer it is a loop over that part of the store. A thread writes ahead of where the loop is
read, and clears what was read, so that a decoder that is late is heard as silence.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from osc_bridge.audio.arena import CHANNELS, MAX_BLOCK
from osc_bridge.audio.clips import LoadedClip
from osc_bridge.audio.player import Player
from server.audio.fence.pool import DecoderPool, Decoding
from server.audio.fence.wire import Ask
from server.audio.waveform import Samples
from server.errors import Cancelled, QueueFull

__all__ = ["HELD_S", "LongSound", "MAX_LONG_SOUNDS"]

HELD_S: Final = 8.0
"""How much of a sound lies in the store."""
MAX_LONG_SOUNDS: Final = 8
"""Each has a decoding process of its own."""
_AHEAD_S: Final = 1.0
"""How much is decoded before it starts."""
_GUARD_FRAMES: Final = 2 * MAX_BLOCK
_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 60.0

_DECODERS: Final = DecoderPool(MAX_LONG_SOUNDS)
_playing: Final[set[LongSound]] = set()


class LongSound:
    """The sound in the file at ``path``; ``clip`` is what a player starts, looped.

    It belongs to one asyncio loop. :meth:`close` it when its voice has ended.
    """

    def __init__(self, player: Player, path: Path) -> None:
        if len(_playing) >= MAX_LONG_SOUNDS:
            raise QueueFull(f"{MAX_LONG_SOUNDS} long sounds are playing; stop one of them first")
        self.voice = 0
        """Number of the voice that plays it; 0 before there is one."""
        self.clip = player.clips.reserve(round(HELD_S * player.sample_rate))
        self._player = player
        self._path = path
        self._rate = player.sample_rate
        self._store = player.arena.store[self.clip.offset :][: self.clip.frames]
        self._written = self._cleared = 0
        self._closed = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._ahead: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"long sound {self.clip.id}")
        _playing.add(self)

    async def start(self) -> LoadedClip:
        """Decode the first second; the clip can be started then.

        Raises:
            AudioLDMError: it cannot be decoded.
        """
        self._thread.start()
        await self._ahead
        return self.clip

    def close(self) -> None:
        """Stop decoding; its part of the store is free as soon as nothing is written to it."""
        self._closed.set()
        if not self._thread.ident:
            self._ended(None)

    async def finish(self) -> None:
        """Return when the thread has ended."""
        self.close()
        if self._thread.ident:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._decode()
        except Exception as failure:
            error = failure
        self._loop.call_soon_threadsafe(self._ended, error)

    def _decode(self) -> None:
        ask = Ask(what="stream", path=str(self._path), sample_rate=self._rate)
        with ExitStack() as stack:
            asking = _DECODERS.asking(self._path, ask, _PATIENCE_S, self._check)
            decoding, _ = stack.enter_context(asking)
            while len(block := _block(decoding)):
                self._write(block)
        end = self._written
        self._in_loop(self._stop_at, end)
        while not self._closed.wait(_LOOK_S):
            self._clear()

    def _write(self, block: Samples) -> None:
        while len(block):
            room = len(self._store) - (self._written - self._cleared)
            piece = block[:room]
            at = self._written % len(self._store)
            first = min(len(piece), len(self._store) - at)
            self._store[at : at + first] = piece[:first]
            self._store[: len(piece) - first] = piece[first:]
            self._written += len(piece)
            block = block[len(piece) :]
            if self._written >= _AHEAD_S * self._rate:
                self._in_loop(self._is_ahead)
            if len(block) and not self._clear():
                self._closed.wait(_LOOK_S)
            self._check()

    def _clear(self) -> int:
        """Silence what has been played; how many frames that were."""
        started = self._player.start_frame(self.voice) if self.voice else 0
        played = self._player.frame_now() - started - _GUARD_FRAMES if started else 0
        size = max(0, min(played, self._written) - self._cleared)
        at = self._cleared % len(self._store)
        first = min(size, len(self._store) - at)
        self._store[at : at + first] = 0.0
        self._store[: size - first] = 0.0
        self._cleared += size
        return size

    def _check(self) -> None:
        if self._closed.is_set():
            raise Cancelled("nobody plays it any more")

    def _stop_at(self, frames: int) -> None:
        """The end of the file is known."""
        self._is_ahead()
        started = self._player.start_frame(self.voice)
        if started:
            self._player.stop(self.voice, started + frames, 0.0)
        elif not self._closed.is_set():
            self._loop.call_later(_LOOK_S, self._stop_at, frames)

    def _is_ahead(self) -> None:
        if not self._ahead.done():
            self._ahead.set_result(None)

    def _ended(self, error: Exception | None) -> None:
        """The thread is through: nothing is written to the store any more."""
        if not self._ahead.done():
            self._ahead.set_exception(error or Cancelled("it was stopped before it began"))
        elif error is not None and self.voice:
            self._player.stop(self.voice)
        _playing.discard(self)
        self._player.unload(self.clip)

    def _in_loop(self, call: Callable[..., None], *arguments: int) -> None:
        self._loop.call_soon_threadsafe(call, *arguments)


def _block(decoding: Decoding) -> Samples:
    """The next frames [n, 2]; none at the end."""
    data = decoding.block()
    return np.frombuffer(data, np.float32).reshape(-1, CHANNELS)
