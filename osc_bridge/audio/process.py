"""The audio process: a mixer on a sound card, and nothing else that could hold the GIL.

Started by :class:`osc_bridge.audio.card.CardOutput` as ``python -m osc_bridge.audio.process``. It
says one line of JSON on standard output when the device is open (or why it is not) and ends when
standard input closes, so it never outlives its owner.
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

__all__ = ["Orders", "Report", "main"]

_PRIORITY = 60
"""SCHED_FIFO, between JACK's server (10) and its watchdog (as it is common for audio clients)."""
_SILENT_RATE = 48000
_LOCK_WHAT_IS_TOUCHED = 1 | 2 | 4
"""mlockall's MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner wants, one argument of JSON."""

    arena: str
    shape: ArenaShape
    settings: DeviceSettings
    frame: int
    """The frame that was due ..."""
    time_ns: int
    """... at this monotonic time; the count goes on from there."""

    def frame_now(self, sample_rate: int) -> int:
        """The frame that is due now."""
        return self.frame + (time.monotonic_ns() - self.time_ns) * sample_rate // 10**9


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of it, one line of JSON."""

    opened: Opened | None = None
    error: str = ""


def main(argument: str) -> int:
    """Play until standard input closes (0), the device fails (3) or never opened (2)."""
    orders = msgspec.json.decode(argument, type=Orders)
    arena = Arena.attach(Path(orders.arena), orders.shape)
    realtime = _ask_for_priority()
    _hold_memory(arena)
    _stop_collecting()
    try:
        if orders.settings.device == NO_DEVICE:
            _keep_time(arena, orders, realtime)
            return 0
        stream, opened = open_stream(
            arena, orders.settings, orders.frame_now, on_finished=lambda: os._exit(3)
        )
    except AudioLDMError as error:
        _say(Report(error=str(error)))
        return 2
    arena.gauges[Gauge.STATE] = 1
    _say(Report(opened=msgspec.structs.replace(opened, realtime=realtime)))
    sys.stdin.buffer.read()
    # Closing a stream whose server died can hang; the system takes everything back anyway.
    threading.Timer(1.0, os._exit, (0,)).start()
    stream.abort(ignore_errors=True)
    os._exit(0)


def _ask_for_priority() -> bool:
    """Real-time scheduling, inherited by PortAudio's threads; else as nice as allowed."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
            return True
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -15)
    return False


def _hold_memory(arena: Arena) -> None:
    """No page faults in the callback: touch the capture ring, and keep what was touched."""
    for bus in (arena.played, arena.recorded):
        # Not with zeros: what was played before the device came back is still wanted.
        frames = max(1, mmap.PAGESIZE // bus.strides[0])
        bus[::frames] = bus[::frames].copy()
    if sys.platform == "linux":
        # Without permission (ulimit -l) the pages merely stay as movable as any.
        ctypes.CDLL(None).mlockall(_LOCK_WHAT_IS_TOUCHED)


def _stop_collecting() -> None:
    """No garbage collector in the callback: it makes no cycles, and a pass takes a block's time."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _keep_time(arena: Arena, orders: Orders, realtime: bool) -> None:
    """Render in real time without a device."""
    rate = orders.settings.sample_rate or _SILENT_RATE
    blocksize = orders.settings.blocksize or 512
    callback = Callback(Mixer(arena, rate, orders.frame_now(rate)))
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    arena.gauges[Gauge.STATE] = 1
    _say(Report(opened=Opened(name=NO_DEVICE, sample_rate=rate, realtime=realtime)))
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


def _say(report: Report) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
