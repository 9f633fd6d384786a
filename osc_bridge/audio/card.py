"""A sound card in a process of its own, as the player sees it.

There, Python's interpreter lock does not delay the audio callback. A crash of the audio driver
does not end this process, and a process that hangs can be killed and started again. If this
program dies, the audio process plays on for a while, and the next program takes it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from osc_bridge.audio.arena import Arena, Gauge
from osc_bridge.audio.device import DeviceSettings, Opened, Playing
from osc_bridge.audio.process import ProcessOptions, ProcessReport
from server.errors import DeviceError

__all__ = ["CardOutput"]

log = logging.getLogger("audioldm.audio")

_MODULE: Final = "osc_bridge.audio.process"
_OPEN_TIMEOUT_S: Final = 20.0
_TIMEOUT_S: Final = 2.0
"""A device that has not asked for a block for this long counts as lost."""
_END_S: Final = 3.0
_TRIES: Final = 3
_PAUSE_S: Final = 0.5
"""Between tries to start a process that died at its start."""
_MAX_LINE: Final = 10_000


class _DiedAtStart(DeviceError):
    """The process ended before it could say anything."""


class CardOutput:
    """Starts, watches and ends the audio process (:mod:`osc_bridge.audio.process`).

    Args:
        hold_s: how long the process plays on if this program dies.
        found: the process of a program that has died; it is taken over by the first
            :meth:`open` with the same settings, and ended by one with others.
        note: called with the process that plays, and with None when none does.
    """

    def __init__(
        self,
        hold_s: float = 0.0,
        found: Playing | None = None,
        note: Callable[[Playing | None], None] = lambda playing: None,
    ) -> None:
        self._hold_s = hold_s
        self._found = found
        self._note = note
        self._adopted: Playing | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=20)
        self._arena: Arena | None = None
        self._callbacks = 0
        self._last_callback_s = 0.0

    @property
    def pid(self) -> int | None:
        """Process id of the audio process; None while it does not run."""
        if self._adopted:
            return self._adopted.pid
        return self._process.pid if self._process else None

    async def open(self, arena: Arena, settings: DeviceSettings, frame: int) -> Opened:
        """Start to play at ``frame``, or go on where a process plays already.

        Raises:
            DeviceError: the device or its settings cannot be used.
        """
        self._arena = arena
        self._callbacks, self._last_callback_s = -1, time.monotonic()
        found, self._found = self._found, None
        if found and found.settings == settings:
            self._adopted = found
            self._note(found)
            return found.opened
        self._adopted = found or self._adopted
        await self.close()
        return await self._opened(arena, settings, frame, time.monotonic_ns())

    async def close(self) -> None:
        """End the audio process; it is killed if it does not end in 3 s."""
        process, self._process = self._process, None
        adopted, self._adopted = self._adopted, None
        if self._arena is not None and (process or adopted):
            self._arena.gauges[Gauge.QUIT] = 1
            self._note(None)
        if adopted and self._arena is not None:
            await _ended(self._arena, adopted.pid)
        if process is not None:
            await self._end(process)
        if self._arena is not None and (process or adopted):
            self._arena.gauges[Gauge.STATE] = 0

    def failure(self) -> str:
        """Why it stopped playing; empty while it plays."""
        process, arena = self._process, self._arena
        if arena is None or (process is None and self._adopted is None):
            return "the device is closed"
        if process is not None and process.returncode is not None:
            return "the device went away" if process.returncode == 3 else self._end_reason(process)
        callbacks, now = int(arena.gauges[Gauge.CALLBACKS]), time.monotonic()
        if callbacks != self._callbacks:
            self._callbacks, self._last_callback_s = callbacks, now
        elif now - self._last_callback_s > _TIMEOUT_S:
            return f"the device requested no block in {_TIMEOUT_S:.0f} s"
        return ""

    async def _opened(
        self, arena: Arena, settings: DeviceSettings, frame: int, time_ns: int
    ) -> Opened:
        """Start the process; one that dies at its start is tried again after a pause."""
        for tries_left in reversed(range(_TRIES)):
            arena.commands.clear()
            arena.gauges[Gauge.QUIT] = 0
            arena.gauges[Gauge.OWNER_NS] = time.monotonic_ns()
            options = ProcessOptions(
                arena=str(arena.path), shape=arena.shape, settings=settings, frame=frame,
                time_ns=time_ns, hold_s=self._hold_s,
            )  # fmt: skip
            try:
                report = await self._start(options)
            except _DiedAtStart as error:
                if not tries_left:
                    raise
                log.warning("%s; it is started again", error)
                await asyncio.sleep(_PAUSE_S)
            else:
                break
        assert report.opened is not None
        assert self._process is not None
        self._callbacks, self._last_callback_s = -1, time.monotonic()
        playing = Playing(
            pid=self._process.pid, stamp=int(arena.gauges[Gauge.STAMP]), arena=report.arena,
            shape=arena.shape, settings=settings, opened=report.opened,
        )  # fmt: skip
        self._note(playing)
        return report.opened

    async def _start(self, options: ProcessOptions) -> ProcessReport:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, msgspec.json.encode(options).decode(),
            stdin=pipe, stdout=pipe, stderr=pipe, env=_environment(),
        )  # fmt: skip
        self._stderr = asyncio.create_task(self._read_stderr(self._process))
        try:
            return await asyncio.wait_for(self._read_report(self._process), _OPEN_TIMEOUT_S)
        except TimeoutError as error:
            await self.close()
            raise DeviceError(f"the device did not open in {_OPEN_TIMEOUT_S:.0f} s") from error
        except BaseException:
            await self.close()
            raise

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except (TimeoutError, asyncio.CancelledError) as error:
            log.warning("the audio process hangs; it is killed")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
        if self._stderr:
            await self._stderr

    async def _read_report(self, process: asyncio.subprocess.Process) -> ProcessReport:
        """Read the report; libraries may print lines before it."""
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                report = msgspec.json.decode(line, type=ProcessReport)
                if report.opened is None:
                    raise DeviceError(report.error)
                return report
        await process.wait()
        raise _DiedAtStart(self._end_reason(process))

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines; not line by line, for a line may be of any length."""
        assert process.stderr is not None
        rest = ""
        while data := await process.stderr.read(4096):
            *lines, rest = (rest + data.decode(errors="replace"))[-_MAX_LINE:].split("\n")
            for line in lines:
                self._last_lines.append(line.rstrip())
                log.debug("audio process: %s", line)
        if rest:
            self._last_lines.append(rest.rstrip())

    def _end_reason(self, process: asyncio.subprocess.Process) -> str:
        last = self._last_lines[-1] if self._last_lines else "no message"
        return f"the audio process ended with code {process.returncode}: {last}"


async def _ended(arena: Arena, pid: int) -> None:
    """Wait for the end of a process that is no child of ours; it is killed if it hangs."""
    for _ in range(round(_END_S / 0.05)):
        if not arena.gauges[Gauge.STATE] or _is_ours(pid) is False:
            return
        await asyncio.sleep(0.05)
    if not _is_ours(pid):
        log.warning("the audio process hangs; it is left alone")
        return
    log.warning("the audio process hangs; it is killed")
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _is_ours(pid: int) -> bool | None:
    """Whether an audio process has this number, which the system may have given to another one.

    None where the system does not say what a process runs (Windows).
    """
    if os.name != "posix":
        return None
    if sys.platform == "linux":
        try:
            return _MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    told = subprocess.run(
        ("ps", "-ww", "-o", "command=", "-p", str(pid)), capture_output=True, check=False
    )
    return _MODULE.encode() in told.stdout


def _environment() -> dict[str, str]:
    """The environment of the audio process: no thread pools that compete with the callback."""
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
