"""The audio process: a mixer on a sound card, without other threads that hold the GIL.

:class:`osc_bridge.audio.card.CardOutput` starts it as ``python -m osc_bridge.audio.process``. It
writes one line of JSON to standard output when the device is open, or why it is not.

It ends when its parent says so. When the parent dies instead, it plays on for ``hold_s`` seconds:
loops go on and the stream repeats its last chunk. A program that is started again meanwhile takes
it over. Otherwise it fades out and ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import signal
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
from osc_bridge.audio.voice_state import stop_all
from server.errors import AudioLDMError

__all__ = ["ProcessOptions", "ProcessReport", "main"]

_PRIORITY = 60
"""SCHED_FIFO priority, between those of JACK's server (10) and its watchdog."""
_SILENT_RATE = 48000
_LOOK_S = 0.1
_BUSY_S = 10.0
_FADE_S = 2.0
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
    hold_s: float = 0.0
    """How long it plays on when its parent has died."""

    def frame_now(self, sample_rate: int) -> int:
        """The frame that is due now."""
        return self.frame + (time.monotonic_ns() - self.time_ns) * sample_rate // 10**9


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the process answers, as one line of JSON."""

    opened: Opened | None = None
    arena: str = ""
    """Where the memory can be opened while this process lives."""
    error: str = ""


def main(argument: str) -> int:
    """Play until told to end (0), until the device fails (3), or not at all (2)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    options = msgspec.json.decode(argument, type=ProcessOptions)
    arena = Arena.attach(Path(options.arena), options.shape)
    realtime = _raise_priority()
    _lock_memory(arena)
    _disable_collector()
    try:
        if options.settings.device == NO_DEVICE:
            _keep_time(arena, options, realtime)
            arena.gauges[Gauge.STATE] = 0
            return 0
        stream, opened = open_stream(
            arena, options.settings, options.frame_now, on_finished=lambda: os._exit(3)
        )
    except AudioLDMError as error:
        _answer(ProcessReport(error=str(error)))
        return 2
    arena.gauges[Gauge.STATE] = 1
    opened = msgspec.structs.replace(opened, realtime=realtime)
    _answer(ProcessReport(opened=opened, arena=str(arena.path)))
    _play_until_told(arena, options.hold_s)
    # Closing a stream whose server died can hang; the system takes everything back anyway.
    threading.Timer(1.0, os._exit, (0,)).start()
    stream.abort(ignore_errors=True)
    arena.gauges[Gauge.STATE] = 0
    os._exit(0)


def _play_until_told(arena: Arena, hold_s: float) -> None:
    """Return when the parent closes standard input, or ``hold_s`` after it has died."""
    sys.stdin.buffer.read()
    if hold_s <= 0 or arena.gauges[Gauge.QUIT]:
        return
    _silence_output()
    died_ns = int(arena.gauges[Gauge.OWNER_NS])
    while not arena.gauges[Gauge.QUIT]:
        time.sleep(_LOOK_S)
        alive_ns = int(arena.gauges[Gauge.OWNER_NS])
        # Whoever took over may be busy for a moment.
        wait_s = hold_s if alive_ns == died_ns else max(hold_s, _BUSY_S)
        if time.monotonic_ns() - alive_ns > wait_s * 1e9:
            arena.gauges[Gauge.QUIT] = 1
            _fade_out(arena)
            with contextlib.suppress(OSError):
                arena.close()  # its owner is gone


def _silence_output() -> None:
    """Nobody reads what is printed any more."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)


def _fade_out(arena: Arena) -> None:
    """Nobody else writes commands: the parent is gone."""
    arena.commands.push(*stop_all(round(_FADE_S * int(arena.gauges[Gauge.SAMPLE_RATE]))))
    time.sleep(_FADE_S)


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
    waiting = threading.Thread(target=_wait_for_end, args=(arena, options, ended), daemon=True)
    waiting.start()
    arena.gauges[Gauge.STATE] = 1
    opened = Opened(name=NO_DEVICE, sample_rate=rate, realtime=realtime)
    _answer(ProcessReport(opened=opened, arena=str(arena.path)))
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


def _wait_for_end(arena: Arena, options: ProcessOptions, ended: threading.Event) -> None:
    try:
        _play_until_told(arena, options.hold_s)
    finally:
        ended.set()


def _answer(report: ProcessReport) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
