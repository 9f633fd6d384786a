"""The memory that the audio process shares with the player.

One block holds the gauges (a row of int64), two rings (commands to the mixer, events back), the
sample store and the capture buses. On Linux it is an anonymous memory file that the child opens
under /proc, elsewhere a temporary file. Neither has the size limit of /dev/shm.
"""

from __future__ import annotations

import enum
import mmap
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from osc_bridge.audio.ring import INDEX_BYTES, Ring
from server.audio.waveform import Samples

__all__ = [
    "CHANNELS",
    "COMMAND",
    "EVENT",
    "MAX_BLOCK",
    "Arena",
    "ArenaShape",
    "Event",
    "Gauge",
    "Op",
]

CHANNELS: Final = 2
"""The mixer is stereo; mono takes are centred."""

MAX_BLOCK: Final = 4096
"""Largest number of frames rendered at once; longer blocks are split."""


class Gauge(enum.IntEnum):
    """What the audio process publishes, one int64 each."""

    VERSION = 0
    """Odd while FRAME and TIME_NS are being written."""
    FRAME = 1
    """First frame of the block after the current one."""
    TIME_NS = 2
    """Monotonic time of that frame in ns, smoothed, without the latency of the device."""
    SAMPLE_RATE = 3
    BLOCKSIZE = 4
    """Frames in the last block."""
    CALLBACKS = 5
    UNDER_RUNS = 6
    """Output under-runs that the device reports."""
    OVER_RUNS = 7
    LATE = 8
    """Commands that arrived after their frame."""
    STOLEN = 9
    LOAD_MAX_NS = 10
    """Longest time spent on one block since this was last set to zero."""
    LOAD_SUM_NS = 11
    PEAK = 12
    """Largest sample of the last block after the limiter, in millionths of full scale."""
    VOICES = 13
    LATENCY_NS = 14
    """From the callback to the converter, as the device reports it."""
    STATE = 15
    """1 while the device is open, else 0."""
    LIMITED = 16
    """Blocks in which the limiter reduced the level."""
    GLITCHES = 17
    """Blocks that are silent because rendering them raised an error."""
    OWNER_NS = 18
    """Monotonic time at which the program that owns the memory was last alive."""
    QUIT = 19
    """1 when the audio process is to end, or is about to."""
    STAMP = 20
    """A random number by which the memory is known again."""
    STORE_USED = 21
    """End of the used part of the sample store, in frames."""
    MASTER = 22
    """Level of everything, see :class:`osc_bridge.audio.voice_state.Levels`."""
    MONITOR = 23
    NEXT_VOICE = 24
    FIRST_OWN = 25
    """Voices below this number are of a program that has gone; 0 when none is left."""


class Op(enum.IntEnum):
    """Commands to the mixer."""

    START = 1
    STOP = 2
    GAIN = 3
    RETIME = 4
    CHOKE = 5
    MASTER = 6
    STOP_ALL = 7
    MONITOR = 8
    RELEASE = 9
    """Fade out the voices of a program that has gone: those below ``voice``."""


class Event(enum.IntEnum):
    """Events of the mixer."""

    STARTED = 1
    FINISHED = 2
    CANCELLED = 3


COMMAND: Final = np.dtype(
    [
        ("sequence", np.int64),
        ("op", np.int64),
        ("voice", np.int64),
        ("frame", np.int64),
        ("offset", np.int64),
        ("frames", np.int64),
        ("loop_start", np.int64),
        ("period", np.float64),
        ("gain", np.float64),
        ("fade", np.int64),
        ("choke", np.int64),
        ("on_grid", np.int64),
    ]
)
EVENT: Final = np.dtype(
    [("sequence", np.int64), ("event", np.int64), ("voice", np.int64), ("frame", np.int64)]
)
_GAUGES: Final = 64
_RING: Final = 1024
_PAGE: Final = mmap.ALLOCATIONGRANULARITY


class ArenaShape(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the sample store and of the capture rings; unused pages take no memory."""

    store_frames: int = 48000 * 60 * 15
    capture_frames: int = 48000 * 120

    def __post_init__(self) -> None:
        if self.capture_frames < MAX_BLOCK:
            raise ValueError(f"capture_frames {self.capture_frames}: at least {MAX_BLOCK}")

    @property
    def nbytes(self) -> int:
        """Size of the whole block in bytes."""
        return self._layout()[-1]

    def _layout(self) -> tuple[int, int, int, int, int, int]:
        """Offsets of commands, events, store, output bus and input bus, and the end."""
        frame = CHANNELS * 4
        commands = _GAUGES * 8
        events = commands + INDEX_BYTES + _RING * COMMAND.itemsize
        store = _pages(events + INDEX_BYTES + _RING * EVENT.itemsize)
        output = _pages(store + self.store_frames * frame)
        recorded = _pages(output + self.capture_frames * frame)
        return commands, events, store, output, recorded, recorded + self.capture_frames * frame


class Arena:
    """Views into the shared block; made by :meth:`create`, opened again by :meth:`attach`."""

    def __init__(self, memory: mmap.mmap, shape: ArenaShape, path: Path, fd: int) -> None:
        self.shape = shape
        self.path = path
        self.adopted = False
        """True where a program that has gone has made it, and something may be playing it."""
        self._memory = memory
        self._fd = fd
        commands, events, store, output, recorded, _ = shape._layout()
        self.gauges = self._view(0, np.dtype(np.int64), _GAUGES)
        self.commands = self._ring(commands, COMMAND)
        self.events = self._ring(events, EVENT)
        self.store: Samples = self._frames(store, shape.store_frames)
        self.played: Samples = self._frames(output, shape.capture_frames)
        self.recorded: Samples = self._frames(recorded, shape.capture_frames)

    @classmethod
    def create(cls, shape: ArenaShape | None = None) -> Arena:
        """Make a new block, all zero."""
        shape = shape or ArenaShape()
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("audioldm-audio")
            path = Path(f"/proc/{os.getpid()}/fd/{fd}")
        else:
            fd, name = tempfile.mkstemp(prefix="audioldm-audio-")
            path = Path(name)
        os.ftruncate(fd, shape.nbytes)
        arena = cls(mmap.mmap(fd, shape.nbytes), shape, path, fd)
        arena.gauges[Gauge.STAMP] = secrets.randbits(62)
        return arena

    @classmethod
    def attach(cls, path: Path, shape: ArenaShape) -> Arena:
        """Open the block that another process has made; it outlives that process.

        Raises:
            OSError: there is none.
        """
        fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            memory = mmap.mmap(fd, shape.nbytes)
        except (OSError, ValueError) as error:
            os.close(fd)
            raise OSError(f"{path} is no memory of this size: {error}") from error
        own = Path(f"/proc/{os.getpid()}/fd/{fd}") if path.is_relative_to("/proc") else path
        return cls(memory, shape, own, fd)

    @classmethod
    def adopt(cls, path: Path, shape: ArenaShape, stamp: int) -> Arena:
        """Open the block of a program that has gone, and own it from now on.

        Raises:
            OSError: there is none, or it is another one.
        """
        arena = cls.attach(path, shape)
        if int(arena.gauges[Gauge.STAMP]) != stamp or arena.gauges[Gauge.QUIT]:
            arena.let_go()
            raise OSError(f"{path} is another memory, or its audio process is ending")
        arena.gauges[Gauge.OWNER_NS] = time.monotonic_ns()
        arena.gauges[Gauge.FIRST_OWN] = max(1, int(arena.gauges[Gauge.NEXT_VOICE]))
        arena.adopted = True
        return arena

    def let_go(self) -> None:
        """Close the file without removing it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Free the memory; it stays valid until the last view of it is gone."""
        if self._fd >= 0 and not self.path.is_relative_to("/proc"):
            self.path.unlink(missing_ok=True)
        self.let_go()

    def position(self) -> tuple[int, int]:
        """Frame and monotonic time in ns of the newest block, read consistently (seqlock)."""
        gauges = self.gauges
        frame = time_ns = 0
        # Bounded: a writer that was killed half-way leaves the version odd for good.
        for _ in range(1000):
            version = int(gauges[Gauge.VERSION])
            frame, time_ns = int(gauges[Gauge.FRAME]), int(gauges[Gauge.TIME_NS])
            if not version & 1 and version == int(gauges[Gauge.VERSION]):
                break
        return frame, time_ns

    def publish(self, frame: int, time_ns: int) -> None:
        """Publish the end of the newest block and when it is due (audio process only)."""
        gauges = self.gauges
        version = int(gauges[Gauge.VERSION]) | 1
        gauges[Gauge.VERSION] = version
        gauges[Gauge.FRAME] = frame
        gauges[Gauge.TIME_NS] = time_ns
        gauges[Gauge.VERSION] = version + 1

    def silence(self, begin: int, end: int) -> None:
        """Clear both buses from frame ``begin`` to ``end`` (audio process only)."""
        for bus in (self.played, self.recorded):
            frames = min(end - begin, bus.shape[0])
            if frames > 0:
                at = (end - frames) % bus.shape[0]
                bus[at : at + frames] = 0.0
                bus[: max(0, at + frames - bus.shape[0])] = 0.0

    def _view(self, at: int, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self._memory, dtype=dtype, count=count, offset=at)

    def _ring(self, at: int, dtype: np.dtype[Any]) -> Ring:
        index = self._view(at, np.dtype(np.int64), 2)
        return Ring(self._view(at + INDEX_BYTES, dtype, _RING), index)

    def _frames(self, at: int, frames: int) -> Samples:
        view = self._view(at, np.dtype(np.float32), frames * CHANNELS)
        return view.reshape(frames, CHANNELS)


def _pages(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE
