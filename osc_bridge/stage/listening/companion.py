"""Listens to the input, and asks the stream or a pad to leave its bands and to follow its tempo.

The input is read from the capture ring, and measured in a thread of this process. The audio
process knows nothing of it: sounds are shaped before they are placed in memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from osc_bridge.audio.player import Player
from osc_bridge.stage.listening.follow import OccupiedBands, TempoFollower
from osc_bridge.stage.listening.measures import Heard, heard_in
from osc_bridge.stage.listening.shape import Shape
from osc_bridge.stage.pads.pads import Pads
from osc_bridge.stage.stream.stream import Stream
from server.errors import AudioLDMError, NotFound
from server.supervision import SupervisedTask

__all__ = ["STREAM", "Companion", "ListenReport", "ListenSettings"]

log = logging.getLogger("audioldm.stage.listening")

STREAM: Final = "stream"
"""The target that is no pad."""
_WINDOW_S: Final = 6.0
_EVERY_S: Final = 1.0


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes room, and how."""

    target: str = STREAM
    """``stream``, or the number or name of a pad."""
    depth_db: float = 18.0
    ceiling_db: float = -12.0
    follow_tempo: bool = True


class ListenReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is heard, and what is done about it."""

    state: Literal["off", "waiting", "silence", "listening"]
    """waiting: for the first seconds of the input."""
    target: str = ""
    level_db: float = 0.0
    density: float = 0.0
    bpm: float = 0.0
    bands: tuple[tuple[float, float], ...] = ()
    """The bands that the target leaves, in Hz."""
    ceiling_db: float = 0.0
    error: str = ""


class Companion:
    """Off until it is started.

    Args:
        player: whose input is heard.
        tempo: follows that of the input.
        stream, pads: make room.
        report: called at every change.
    """

    def __init__(
        self,
        player: Player,
        tempo: TempoFollower,
        stream: Stream,
        pads: Pads,
        report: Callable[[ListenReport], None],
    ) -> None:
        self._player = player
        self._tempo = tempo
        self._stream = stream
        self._pads = pads
        self._report = report
        self._settings = ListenSettings()
        self._status = ListenReport(state="off")
        self._task: SupervisedTask | None = None
        self._bands = OccupiedBands()
        self._made: Shape | None = None
        self._made_s = 0.0

    def status(self) -> ListenReport:
        """What is heard now."""
        return self._status

    async def start(self, settings: ListenSettings, *, steps: bool = False) -> None:
        """Listen from now on, in place of what was asked for before.

        Args:
            settings: who makes room, and how.
            steps: leave it to the caller to call :meth:`step`.

        Raises:
            NotFound: no such pad.
            DeviceError: no device is open.
        """
        self._player.check_open()
        if settings.target != STREAM:
            self._pads.number_of(_pad(settings.target))
        await self.stop()
        self._settings = settings
        self._tell(state="waiting", target=settings.target, ceiling_db=settings.ceiling_db)
        await self._make_room(self._shape())
        if not steps:
            self._task = SupervisedTask("the listening companion", self._run)

    async def stop(self) -> None:
        """Play as before; the tempo stays."""
        task, self._task = self._task, None
        if task:
            await task.stop()
        if self._status.state != "off":
            self._status = ListenReport(state="off")
            try:
                await self._make_room(None)
            except AudioLDMError as error:
                log.info("%s", error)
            self._bands = OccupiedBands()
            self._report(self._status)

    async def step(self) -> None:
        """Measure the last seconds once, and act on them."""
        try:
            sound = self._player.capture(_WINDOW_S, "recorded")
        except NotFound:
            return
        heard = await asyncio.to_thread(heard_in, sound)
        self._bands.hear(heard)
        error = ""
        try:
            await self._react(heard)
        except AudioLDMError as failure:
            error = str(failure)
        self._tell(
            state="silence" if heard.silent else "listening",
            level_db=round(heard.level_db, 1),
            density=round(heard.density, 1),
            bpm=round(heard.bpm, 1),
            bands=self._bands.hertz,
            error=error,
        )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.step()

    # --- what follows from it

    async def _react(self, heard: Heard) -> None:
        if self._settings.follow_tempo:
            self._tempo.hear(heard.bpm)
        now, shape = time.monotonic(), self._shape()
        # A loop changes on its bar: no more often than that.
        if shape != self._made and now - self._made_s >= self._tempo.bar_s:
            self._made_s = now
            await self._make_room(shape)

    def _shape(self) -> Shape:
        settings = self._settings
        return Shape(self._bands.hertz, settings.depth_db, settings.ceiling_db)

    async def _make_room(self, shape: Shape | None) -> None:
        """Let the target leave the bands of ``shape``; None: play as it was rendered."""
        if self._settings.target == STREAM:
            self._stream.reshape(shape)
        else:
            await self._pads.reshape(_pad(self._settings.target), shape)
        self._made = shape

    # --- inside

    def _tell(self, **changes: object) -> None:
        status = msgspec.structs.replace(self._status, **changes)
        if status != self._status:
            self._status = status
            self._report(status)


def _pad(target: str) -> int | str:
    return int(target) if target.isdecimal() else target
