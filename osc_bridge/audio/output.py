"""Where an arena is played, and how an output that fails is opened again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from osc_bridge.audio.arena import Arena
from osc_bridge.audio.device import DeviceReport, DeviceSettings, Opened
from server.errors import AudioLDMError, DeviceError
from server.listeners import Listeners, Unlisten
from server.supervision import SupervisedTask

__all__ = ["Output", "Playback", "WatchedOutput"]

log = logging.getLogger("audioldm.audio")

POLL_S: Final = 0.01
REOPEN_S: Final = 1.0


class Output(Protocol):
    """What plays an arena: a sound card, or memory."""

    async def open(self, arena: Arena, settings: DeviceSettings, frame: int) -> Opened:
        """Start to play at ``frame``, or go on where it plays already.

        Raises:
            DeviceError: the device or its settings cannot be used.
        """

    async def close(self) -> None:
        """Stop; the device is free for others when this returns."""

    def failure(self) -> str:
        """Why it stopped playing; empty while it plays."""


class Playback(Protocol):
    """What is played: the part of the player that follows the output."""

    def next_frame(self) -> int:
        """The frame at which an output that is opened now starts."""

    async def resume(self, opened: Opened) -> None:
        """Send the voices and levels to an output that has just been opened."""

    def poll(self) -> None:
        """Handle the events of the mixer."""

    def expire(self) -> None:
        """Drop the voices that ended while no output was open."""


class WatchedOutput:
    """Opens an output, watches it, and opens it again when it fails.

    Args:
        output: a sound card or memory.
        arena: what it plays.
        playback: what is resumed on a newly opened output.
    """

    def __init__(self, output: Output, arena: Arena, playback: Playback) -> None:
        self.output = output
        self.settings = DeviceSettings()
        self.opened: Opened | None = None
        self.reopened = 0
        """How often it was opened again after a failure."""
        self.in_use = False
        """True from the first opening on, also while the device is lost or being replaced."""
        self._arena = arena
        self._playback = playback
        self._watching: SupervisedTask | None = None
        self._lock = asyncio.Lock()
        self._listeners: Listeners[DeviceReport] = Listeners("the audio device")

    @property
    def state(self) -> str:
        """open, lost or closed."""
        return "open" if self.opened else "lost" if self.in_use else "closed"

    def listen(self, listener: Callable[[DeviceReport], None]) -> Unlisten:
        """Call ``listener`` when the device comes or goes; returns a function that ends this."""
        return self._listeners.add(listener)

    async def open(self, settings: DeviceSettings) -> Opened:
        """Open the device that ``settings`` name, in place of the current one.

        Raises:
            DeviceError: it cannot be opened; nothing is open then.
        """
        async with self._lock:
            await self._stop_watching()
            if self.opened is not None:
                self.opened = None
                self._listeners.notify(
                    DeviceReport(state="closed", reason="a device is being opened")
                )
            await self.output.close()
            self.settings = settings
            try:
                opened = await self._open()
            except Exception as error:
                await self.output.close()
                self.in_use = False
                self._listeners.notify(DeviceReport(state="closed", reason=str(error)))
                raise
            self.in_use = True
            self._start_watching()
            return opened

    async def keep_open(self, settings: DeviceSettings) -> Opened | None:
        """Like :meth:`open`; where that fails (None), it is tried again until it works."""
        try:
            return await self.open(settings)
        except DeviceError as error:
            log.warning("the audio device cannot be opened yet: %s", error)
        async with self._lock:
            if not self.in_use:
                self.in_use = True
                self._start_watching()
        return None

    async def close(self, then: Callable[[], None]) -> None:
        """Close the device and call ``then`` before another one can be opened."""
        async with self._lock:
            await self._stop_watching()
            await self.output.close()
            was_open, self.opened, self.in_use = self.opened is not None, None, False
            then()
            if was_open:
                self._listeners.notify(DeviceReport(state="closed"))

    async def _open(self) -> Opened:
        frame = self._playback.next_frame()
        opened = self.opened = await self.output.open(self._arena, self.settings, frame)
        try:
            self._playback.poll()
            await self._playback.resume(opened)
        except BaseException:
            self.opened = None
            raise
        self._listeners.notify(DeviceReport(state="open", opened=opened))
        return opened

    def _start_watching(self) -> None:
        self._watching = SupervisedTask(
            "the watch over the audio device", self._watch,
            pause_s=REOPEN_S, on_failure=self._watch_failed,
        )  # fmt: skip

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self._playback.poll()
            if reason := self.output.failure() if self.opened else "reopening failed":
                await self._reopen(reason)

    async def _reopen(self, reason: str) -> None:
        """Try to open the device again until it works."""
        log.warning("audio device lost: %s", reason)
        self.opened = None
        self._listeners.notify(DeviceReport(state="lost", reason=reason))
        while self.opened is None:
            try:
                await self.output.close()
                await self._open()
            except (AudioLDMError, OSError) as error:
                log.info("audio device not back yet: %s", error)
                await asyncio.sleep(REOPEN_S)
                self._playback.expire()
        self.reopened += 1

    def _watch_failed(self, error: Exception) -> None:
        reason = f"internal error: {error}"
        self._listeners.notify(DeviceReport(state=self.state, reason=reason, opened=self.opened))

    async def _stop_watching(self) -> None:
        watching, self._watching = self._watching, None
        if watching:
            await watching.stop()
