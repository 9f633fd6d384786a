"""The pads of a live set: when each one starts, stops and changes its takes.

A hit never waits for the engine. New takes are rendered in the background; a looping pad changes
to them on its next bar, with a crossfade.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from osc_bridge.audio.clips import LoadedClip
from osc_bridge.audio.player import Player
from osc_bridge.stage.launcher import Launcher
from osc_bridge.stage.listening.shape import Shape, check_level
from osc_bridge.stage.liveset import LiveSet
from osc_bridge.stage.pads.loop_grid import LoopGrid
from osc_bridge.stage.pads.slot import PadReport, Slot, slot_named
from osc_bridge.stage.pads.takes import PadTakes
from osc_bridge.stage.pads.voices import PadVoices
from osc_bridge.stage.renders import Renders
from osc_bridge.stage.transport import TempoMap, Transport
from server.errors import AudioLDMError, NotFound

__all__ = ["Pads"]

log = logging.getLogger("audioldm.stage.pads")


class Pads:
    """The pads of the loaded set.

    Args:
        player, transport, launcher: where and when they play.
        renders: renders their takes.
        report: called at every change of a pad.
    """

    def __init__(
        self,
        player: Player,
        transport: Transport,
        launcher: Launcher,
        renders: Renders,
        report: Callable[[PadReport], None],
    ) -> None:
        self._transport = transport
        self._report = report
        self._slots: dict[int, Slot] = {}
        self._loading = asyncio.Lock()
        self._grid = LoopGrid(transport, player.frame_now)
        self._takes = PadTakes(player, renders, self._grid)
        self._voices = PadVoices(player, transport, launcher, self._changed)
        self._realigning: asyncio.Task[None] | None = None
        self.find_sound: Callable[[str], Awaitable[Path]] | None = None
        """Finds the nearest sound of the sample library, for pads that ask for it."""
        self._unlisten = transport.listen(self._tempo_changed)

    # --- the set

    async def load(self, live_set: LiveSet) -> None:
        """Replace all pads and render their takes, in order, in the background."""
        async with self._loading:
            await self.clear()
            self._grid.reset()
            self._takes.forget_shapes_but(live_set.pads)
            for number, pad in enumerate(live_set.pads, 1):
                slot = self._slots[number] = Slot(number, pad)
                if shape := self._takes.shape_of(pad):
                    self._voices.quieten(slot, shape)
            for slot in self._slots.values():
                self._render(slot)

    async def clear(self) -> None:
        """Silence all pads and forget them."""
        slots, self._slots = self._slots, {}
        tasks = [slot.render for slot in slots.values() if slot.render]
        tasks += [self._realigning] if self._realigning else []
        self._realigning = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for slot in slots.values():
            self._voices.silence(slot)
            self._takes.unload(slot.clips)

    async def close(self) -> None:
        """Forget the set and the transport."""
        self._unlisten()
        await self.clear()

    def reports(self) -> list[PadReport]:
        """All pads in order."""
        return [slot.report() for slot in self._slots.values()]

    def number_of(self, pad: int | str) -> int:
        """A pad's number from its number or name.

        Raises:
            NotFound: no such pad.
        """
        return self._slot(pad).number

    async def settled(self) -> None:
        """Return when nothing is being rendered."""
        while tasks := [slot.render for slot in self._slots.values() if slot.render]:
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- playing

    def hit(self, pad: int | str, velocity: float = 1.0, frame: int | None = None) -> int:
        """Start the next take of a pad on its grid, or stop its loop.

        Args:
            pad: number or name.
            velocity: level from 0 to 1.
            frame: when it was hit; now where None.

        Returns:
            The frame at which it starts or stops; 0: at once.

        Raises:
            NotFound: no such pad, or nothing rendered yet.
        """
        slot = self._slot(pad)
        if slot.loops and slot.stays:
            return self._voices.stop(slot, frame)
        return self.play(pad, velocity, frame)

    def play(self, pad: int | str, velocity: float = 1.0, frame: int | None = None) -> int:
        """Like :meth:`hit`, but a loop that plays starts again."""
        slot = self._slot(pad)
        if not slot.clips:
            raise NotFound(f"pad {slot.pad.name!r} has no take yet; it is {slot.state}")
        slot.take += 1
        slot.level_db = 40.0 * math.log10(min(1.0, max(velocity, 0.01)))
        return self._voices.start(slot, frame)

    def stop(self, pad: int | str, frame: int | None = None) -> int:
        """Stop a pad on its grid; returns the frame (0: at once)."""
        return self._voices.stop(self._slot(pad), frame)

    def all_stopped(self) -> None:
        """Note that the player fades everything out, so that no loop is restarted later."""
        for slot in self._slots.values():
            slot.stopping |= slot.voices.keys()

    def set_gain(self, pad: int | str, gain_db: float) -> None:
        """Set the level of a pad, also of what it is playing.

        Raises:
            InvalidRequest: it is above what is allowed now.
        """
        slot = self._slot(pad)
        check_level(gain_db, self._takes.shape_of(slot.pad))
        self._voices.set_gain(slot, gain_db)

    async def reshape(self, pad: int | str, shape: Shape | None) -> None:
        """Shape what a pad plays, from its next bar on; it is below the ceiling at once.

        Raises:
            NotFound: no such pad.
            TooLarge: the memory for sounds is full.
        """
        slot = self._slot(pad)
        self._takes.reshape(slot.pad, shape)
        if shape:
            self._voices.quieten(slot, shape)
        if old := slot.clips:
            self._exchange(slot, old, await self._takes.cut(slot.pad, old))

    def refresh(self, pad: int | str, prompt: str = "") -> None:
        """Render new takes in the background; a loop that plays changes to them on its next bar.

        Raises:
            NotFound: no such pad.
            InvalidRequest: the prompt cannot be used.
        """
        slot = self._slot(pad)
        changed = msgspec.structs.replace(slot.pad, prompt=prompt or slot.pad.prompt, seed=None)
        changed.request(self._transport.bpm, self._transport.beats_per_bar, 48000)
        slot.pad = changed
        if slot.render:
            slot.render.cancel()
        self._render(slot)

    async def put(self, pad: int | str, paths: Sequence[Path]) -> PadReport:
        """Give a pad sounds that are there already, until it is refreshed.

        Raises:
            NotFound: no such pad, or its set was replaced meanwhile.
            AudioLDMError: a file cannot be read, or the memory for sounds refused.
        """
        slot = self._slot(pad)
        clips = await self._takes.retrieved(slot.pad, paths)
        if self._slots.get(slot.number) is not slot:
            self._takes.unload(clips)
            raise NotFound(f"pad {pad!r}: another live set was loaded meanwhile; send it again")
        if slot.render:
            slot.render.cancel()
            slot.render = None
        slot.error, slot.retrieved = "", True
        slot.take = 0 if slot.loops and slot.stays else -1
        self._change_clips(slot, clips)
        self._changed(slot)
        return slot.report()

    # --- tempo

    def _tempo_changed(self, line: TempoMap) -> None:
        if self._realigning is None and not self._grid.fits(line):
            self._realigning = asyncio.create_task(self._realign_loops())

    async def _realign_loops(self) -> None:
        """When the tempo has settled, cut loops of bars to it and start them on the next bar."""
        try:
            changed = await self._grid.settle()
            for slot in tuple(self._slots.values()):
                if slot.loops and slot.pad.bars is not None and slot.clips:
                    await self._realign(slot, changed)
        finally:
            if self._realigning is asyncio.current_task():
                self._realigning = None

    async def _realign(self, slot: Slot, tempo_changed: bool) -> None:
        old = slot.clips
        try:
            if not tempo_changed:
                if slot.stays:
                    self._voices.restart(slot)
                return
            clips = await self._takes.cut(slot.pad, old)
            self._exchange(slot, old, clips)
        except AudioLDMError as error:
            log.warning("pad %s is not back on the bar: %s", slot.pad.name, error)
        except Exception:
            log.exception("pad %s is not back on the bar", slot.pad.name)

    # --- inside

    def _slot(self, pad: int | str) -> Slot:
        return slot_named(self._slots, pad)

    def _render(self, slot: Slot) -> None:
        task = asyncio.create_task(self._render_takes(slot))
        slot.render = task
        task.add_done_callback(lambda _: self._rendered(slot, task))
        self._changed(slot)

    def _rendered(self, slot: Slot, task: asyncio.Task[None]) -> None:
        if slot.render is task:
            slot.render = None
            self._changed(slot)

    async def _render_takes(self, slot: Slot) -> None:
        transport = self._transport
        bpm = transport.bpm if self._realigning else self._grid.map.bpm
        if slot.pad.retrieve and not slot.clips:
            await self._retrieve(slot)
        try:
            clips = await self._takes.render(slot.pad, bpm, transport.beats_per_bar)
        except AudioLDMError as error:
            slot.error = str(error)
            log.warning("pad %s: %s", slot.pad.name, error)
            return
        except Exception:
            slot.error = "internal error; see the log"
            log.exception("pad %s could not be rendered", slot.pad.name)
            return
        slot.error, slot.retrieved = "", False
        slot.take = 0 if slot.loops and slot.stays else -1
        self._change_clips(slot, clips)

    async def _retrieve(self, slot: Slot) -> None:
        """Let the pad play a sound of the library until its takes are there."""
        try:
            if self.find_sound is None:
                raise NotFound("there is no sample library in this set-up")
            path = await self.find_sound(slot.pad.prompt)
            slot.clips = await self._takes.retrieved(slot.pad, [path])
        except AudioLDMError as error:
            log.warning("pad %s waits for its takes: %s", slot.pad.name, error)
            return
        slot.retrieved = True
        self._changed(slot)

    def _exchange(self, slot: Slot, old: list[LoadedClip], clips: list[LoadedClip]) -> None:
        """Let ``clips`` take the place of ``old``, unless the pad was refreshed meanwhile."""
        if slot.clips is old:
            self._change_clips(slot, clips)
        else:
            self._takes.unload(clips)

    def _change_clips(self, slot: Slot, clips: list[LoadedClip]) -> None:
        old, slot.clips = slot.clips, clips
        try:
            if slot.loops and slot.stays:
                self._voices.restart(slot)
        finally:
            self._takes.unload(old)

    def _changed(self, slot: Slot) -> None:
        if self._slots.get(slot.number) is slot:
            self._report(slot.report())
