"""The audio process: a mixer on a sound card, without other threads that hold the GIL.

:class:`osc_bridge.audio.card.CardOutput` starts it as ``python -m osc_bridge.audio.process``. It
writes one line of JSON to standard output when the device is open, or why it is not. It ends when
standard input closes, so that it never outlives its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import sys
import threading
import time
from pathlib import Path

import msgspec

from osc_bridge.audio.arena import Arena, ArenaShape, Gauge
from osc_bridge.audio.callback import Callback
from osc_bridge.audio.device import NO_DEVICE, DeviceSettings, Opened
from osc_bridge.audio.mixer import Mixer
from osc_bridge.audio.portaudio import open_stream
from server.errors import AudioLDMError

__all__ = ["ProcessOptions", "ProcessReport", "main"]

_PRIORITY = 60
"""SCHED_FIFO priority, between those of JACK's server (10) and its watchdog."""
_SILENT_RATE = 48000
_MLOCK_FLAGS = 1 | 2 | 4
"""mlockall's MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT."""


class ProcessOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent passes, as one argument of JSON."""

    arena: str
    shape: ArenaShape
    settings: DeviceSettings
    frame: int
    """The frame that was due at ``time_ns``; the count goes on from there."""
    time_ns: int
    """Monotonic time in ns."""

    def frame_now(self, sample_rate: int) -> int:
        """The frame that is due now."""
        return self.frame + (time.monotonic_ns() - self.time_ns) * sample_rate // 10**9


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the process answers, as one line of JSON."""

    opened: Opened | None = None
    error: str = ""


def main(argument: str) -> int:
    """Play until standard input closes (0), the device fails (3) or never opened (2)."""
    options = msgspec.json.decode(argument, type=ProcessOptions)
    arena = Arena.attach(Path(options.arena), options.shape)
    realtime = _raise_priority()
    _lock_memory(arena)
    _disable_collector()
    try:
        if options.settings.device == NO_DEVICE:
            _keep_time(arena, options, realtime)
            return 0
        stream, opened = open_stream(
            arena, options.settings, options.frame_now, on_finished=lambda: os._exit(3)
        )
    except AudioLDMError as error:
        _answer(ProcessReport(error=str(error)))
        return 2
    arena.gauges[Gauge.STATE] = 1
    _answer(ProcessReport(opened=msgspec.structs.replace(opened, realtime=realtime)))
    sys.stdin.buffer.read()
    # Closing a stream whose server died can hang; the system takes everything back anyway.
    threading.Timer(1.0, os._exit, (0,)).start()
    stream.abort(ignore_errors=True)
    os._exit(0)


def _raise_priority() -> bool:
    """Ask for real-time scheduling, which PortAudio's threads inherit; else for a low niceness."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
            return True
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -15)
    return False


def _lock_memory(arena: Arena) -> None:
    """Avoid page faults in the callback: touch the capture rings and lock what was touched."""
    for bus in (arena.played, arena.recorded):
        # Not with zeros: what was played before the device came back is kept.
        frames = max(1, mmap.PAGESIZE // bus.strides[0])
        bus[::frames] = bus[::frames].copy()
    if sys.platform == "linux":
        # Without permission (ulimit -l) this does nothing.
        ctypes.CDLL(None).mlockall(_MLOCK_FLAGS)


def _disable_collector() -> None:
    """Disable the garbage collector: a pass takes the time of a block, and there are no cycles."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _keep_time(arena: Arena, options: ProcessOptions, realtime: bool) -> None:
    """Render in real time without a sound card."""
    rate = options.settings.sample_rate or _SILENT_RATE
    blocksize = options.settings.blocksize or 512
    callback = Callback(Mixer(arena, rate, options.frame_now(rate)))
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    arena.gauges[Gauge.STATE] = 1
    _answer(ProcessReport(opened=Opened(name=NO_DEVICE, sample_rate=rate, realtime=realtime)))
    begun, blocks = time.monotonic(), 0
    while not ended.is_set():
        due = begun + blocks * blocksize / rate
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        elif -wait > blocksize / rate:
            arena.gauges[Gauge.UNDER_RUNS] += 1
            begun -= wait
        callback.silent(blocksize, time.monotonic_ns())
        blocks += 1


def _wait_for_end(ended: threading.Event) -> None:
    try:
        sys.stdin.buffer.read()
    finally:
        ended.set()


def _answer(report: ProcessReport) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
