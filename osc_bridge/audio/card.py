"""A sound card in a process of its own, as the player sees it.

There, Python's interpreter lock does not delay the audio callback. A crash of the audio driver
does not end this process, and a process that hangs can be killed and started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections import deque
from typing import Final

import msgspec

from osc_bridge.audio.arena import Arena, Gauge
from osc_bridge.audio.device import DeviceSettings, Opened
from osc_bridge.audio.process import ProcessOptions, ProcessReport
from server.errors import DeviceError

__all__ = ["CardOutput"]

log = logging.getLogger("audioldm.audio")

_OPEN_TIMEOUT_S: Final = 20.0
_TIMEOUT_S: Final = 2.0
"""A device that has not asked for a block for this long counts as lost."""
_MAX_LINE: Final = 10_000


class CardOutput:
    """Starts, watches and ends the audio process (:mod:`osc_bridge.audio.process`)."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=20)
        self._arena: Arena | None = None
        self._callbacks = 0
        self._last_callback_s = 0.0

    @property
    def pid(self) -> int | None:
        """Process id of the audio process; None while it does not run."""
        return self._process.pid if self._process else None

    async def open(self, arena: Arena, settings: DeviceSettings, frame: int) -> Opened:
        """Start to play at ``frame``.

        Raises:
            DeviceError: the device or its settings cannot be used.
        """
        await self.close()
        self._arena = arena
        options = ProcessOptions(
            arena=str(arena.path), shape=arena.shape, settings=settings, frame=frame,
            time_ns=time.monotonic_ns(),
        )  # fmt: skip
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "osc_bridge.audio.process", msgspec.json.encode(options).decode(),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        self._stderr = asyncio.create_task(self._read_stderr(self._process))
        try:
            opened = await asyncio.wait_for(self._read_report(self._process), _OPEN_TIMEOUT_S)
        except TimeoutError as error:
            await self.close()
            raise DeviceError(f"the device did not open in {_OPEN_TIMEOUT_S:.0f} s") from error
        except BaseException:
            await self.close()
            raise
        self._callbacks, self._last_callback_s = -1, time.monotonic()
        return opened

    async def close(self) -> None:
        """End the audio process; it is killed if it does not end in 3 s."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 3.0)
        except (TimeoutError, asyncio.CancelledError) as error:
            log.warning("the audio process hangs; it is killed")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
        if self._stderr:
            await self._stderr
        if self._arena is not None:
            self._arena.gauges[Gauge.STATE] = 0

    def failure(self) -> str:
        """Why it stopped playing; empty while it plays."""
        process, arena = self._process, self._arena
        if process is None or arena is None:
            return "the device is closed"
        if process.returncode is not None:
            return "the device went away" if process.returncode == 3 else self._end_reason(process)
        callbacks, now = int(arena.gauges[Gauge.CALLBACKS]), time.monotonic()
        if callbacks != self._callbacks:
            self._callbacks, self._last_callback_s = callbacks, now
        elif now - self._last_callback_s > _TIMEOUT_S:
            return f"the device requested no block in {_TIMEOUT_S:.0f} s"
        return ""

    async def _read_report(self, process: asyncio.subprocess.Process) -> Opened:
        """Read the report; libraries may print lines before it."""
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                report = msgspec.json.decode(line, type=ProcessReport)
                if report.opened is None:
                    raise DeviceError(report.error)
                return report.opened
        await process.wait()
        raise DeviceError(self._end_reason(process))

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


def _environment() -> dict[str, str]:
    """The environment of the audio process: no thread pools that compete with the callback."""
    return os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
