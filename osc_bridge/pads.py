"""Pads: takes rendered ahead, sounding from memory on the beat.

A hit never waits for the engine. ``refresh`` renders new takes behind and, where the pad is
looping, swaps them in on its next bar with a crossfade.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from osc_bridge.clips import Clip, Loop
from osc_bridge.launcher import Launcher
from osc_bridge.liveset import LiveSet, Pad
from osc_bridge.player import Player
from osc_bridge.renders import Renders
from osc_bridge.transport import TempoMap, Transport, quantum_of
from server.errors import AudioLDMError, NotFound
from server.jobs import Job
from server.request import TextToAudio
from server.waveform import Waveform

__all__ = ["PadReport", "PadState", "Pads"]

logger = logging.getLogger("audioldm.pads")

PadState = Literal["empty", "rendering", "ready", "queued", "playing", "failed"]
_OFF_GRID_S: Final = 0.01
"""Loops that are further off the bar than this are started anew."""
_SETTLE_S: Final = 0.2
_CUT_SEAM_S: Final = 0.01
_OWN_GROUP: Final = 1000
"""A loop without a choke group silences itself: group 1000 + its number."""


class PadReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pad stands."""

    number: int
    """From 1."""
    name: str
    state: PadState
    takes: int = 0
    refreshing: bool = False
    error: str = ""


class _Slot:
    """A pad with what it holds."""

    def __init__(self, number: int, pad: Pad) -> None:
        self.number = number
        self.pad = pad
        self.gain_db = pad.gain_db
        self.clips: list[Clip] = []
        self.next_take = 0
        self.voices: dict[int, bool] = {}
        """Those that sound or wait; True where begun."""
        self.leaving: set[int] = set()
        """Those that have been told to stop."""
        self.render: asyncio.Task[None] | None = None
        self.error = ""

    @property
    def loops(self) -> bool:
        return self.pad.mode == "loop"

    @property
    def sounds(self) -> bool:
        return any(self.voices.values())

    @property
    def stays(self) -> bool:
        """Something sounds or waits and has not been told to stop."""
        return bool(self.voices.keys() - self.leaving)

    @property
    def group(self) -> int:
        return self.pad.choke or (_OWN_GROUP + self.number if self.loops else 0)


class Pads:
    """The pads of the loaded set.

    Args:
        player, transport, launcher: where and when they sound.
        renders: who renders their takes.
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
        self._player = player
        self._transport = transport
        self._launcher = launcher
        self._renders = renders
        self._report = report
        self._slots: dict[int, _Slot] = {}
        self._grid = transport.map
        self._regrid: asyncio.Task[None] | None = None
        self._unlisten = transport.listen(self._follow)

    # --- the set

    async def load(self, live_set: LiveSet) -> None:
        """Replace all pads and render their takes, in order, in the background."""
        await self.clear()
        self._grid = self._transport.map
        for number, pad in enumerate(live_set.pads, 1):
            self._slots[number] = _Slot(number, pad)
        for slot in self._slots.values():
            self._render(slot, first=True)

    async def clear(self) -> None:
        """Silence all pads and forget them."""
        slots, self._slots = self._slots, {}
        tasks = [slot.render for slot in slots.values() if slot.render]
        tasks += [self._regrid] if self._regrid else []
        self._regrid = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for slot in slots.values():
            for voice in slot.voices:
                self._player.stop(voice)
            for clip in slot.clips:
                self._player.unload(clip)

    async def close(self) -> None:
        """Forget the set and the transport."""
        self._unlisten()
        await self.clear()

    def reports(self) -> list[PadReport]:
        """All pads in order."""
        return [self._describe(slot) for slot in self._slots.values()]

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
        """Play a pad's next take at its grid, or stop its loop; returns the frame (0: at once).

        Args:
            pad: number or name.
            velocity: level from 0 to 1.
            frame: when it was hit; now where None.

        Raises:
            NotFound: no such pad, or nothing rendered yet.
        """
        slot = self._slot(pad)
        if slot.loops and slot.stays:
            return self.stop(pad, frame)
        return self.play(pad, velocity, frame)

    def play(self, pad: int | str, velocity: float = 1.0, frame: int | None = None) -> int:
        """Like :meth:`hit`, but a loop that plays begins again."""
        slot = self._slot(pad)
        if not slot.clips:
            raise NotFound(f"pad {slot.pad.name!r} has no take yet; it is {self._state(slot)}")
        clip = slot.clips[slot.next_take % len(slot.clips)]
        slot.next_take += 1
        return self._start(slot, clip, self._quantum(slot), frame, velocity=velocity)

    def stop(self, pad: int | str, frame: int | None = None) -> int:
        """Stop a pad at its grid; returns the frame (0: at once)."""
        slot = self._slot(pad)
        self._cancel_waiting(slot)
        at = 0
        for voice in slot.voices:
            slot.leaving.add(voice)
            at = self._launcher.stop(voice, self._quantum(slot), frame, slot.pad.fade_s)
        return at

    def set_gain(self, pad: int | str, gain_db: float) -> None:
        """Level of a pad, also of what it is playing."""
        slot = self._slot(pad)
        slot.gain_db = gain_db
        for voice in slot.voices:
            self._player.set_gain(voice, gain_db)

    def refresh(self, pad: int | str, prompt: str = "") -> None:
        """Render new takes behind; a loop that plays changes over on its next bar.

        Raises:
            NotFound: no such pad.
            InvalidRequest: a prompt that cannot be used.
        """
        slot = self._slot(pad)
        changed = msgspec.structs.replace(slot.pad, prompt=prompt or slot.pad.prompt, seed=None)
        changed.request(self._transport.bpm, self._transport.beats_per_bar, 48000)
        slot.pad = changed
        if slot.render:
            slot.render.cancel()
        self._render(slot)

    # --- tempo

    def _follow(self, line: TempoMap) -> None:
        """Bring loops back to the bar when tempo or position have changed."""
        beat = line.beat_at(self._player.frame_now())
        off = abs(line.frame_of(beat) - self._grid.frame_of(beat))
        if line.bpm == self._grid.bpm and off < _OFF_GRID_S * line.sample_rate:
            return
        if self._regrid is None:
            self._regrid = asyncio.create_task(self._onto_grid())

    async def _onto_grid(self) -> None:
        """When the tempo has settled, cut loops of bars to it and start them on the next bar."""
        try:
            line = None
            while line is not self._transport.map:
                line = self._transport.map
                await asyncio.sleep(_SETTLE_S)
            changed, self._grid = line.bpm != self._grid.bpm, line
            for slot in tuple(self._slots.values()):
                if not slot.loops or slot.pad.bars is None or not slot.clips:
                    continue
                if changed:
                    loop = Loop(slot.pad.length_s(self._transport.bar_s, 0.0), _CUT_SEAM_S)
                    clips = [await self._player.load(clip.source, loop) for clip in slot.clips]
                    self._change_over(slot, clips)
                elif slot.stays:
                    self._start(slot, slot.clips[0], float(self._transport.beats_per_bar), None)
        except AudioLDMError as error:
            logger.warning("loops are not back on the bar: %s", error)
        finally:
            if self._regrid is asyncio.current_task():
                self._regrid = None

    # --- inside

    def _slot(self, pad: int | str) -> _Slot:
        for slot in self._slots.values():
            if pad in (slot.number, slot.pad.name):
                return slot
        raise NotFound(f"pad {pad!r}: there are pads 1 to {len(self._slots)}")

    def _quantum(self, slot: _Slot) -> float:
        return quantum_of(slot.pad.quantise, self._transport.beats_per_bar)

    def _cancel_waiting(self, slot: _Slot) -> None:
        for voice, begun in tuple(slot.voices.items()):
            if not begun:
                slot.leaving.add(voice)
                self._player.stop(voice)

    def _start(
        self, slot: _Slot, clip: Clip, quantum: float, frame: int | None, velocity: float = 1.0
    ) -> int:
        level_db = 40.0 * math.log10(min(1.0, max(velocity, 0.01)))
        self._cancel_waiting(slot)
        voice = 0

        def started() -> None:
            slot.voices[voice] = True
            self._tell(slot)

        def ended() -> None:
            slot.voices.pop(voice, None)
            slot.leaving.discard(voice)
            self._tell(slot)

        voice, at = self._launcher.start(
            clip, quantum, frame, gain_db=slot.gain_db + level_db, choke=slot.group,
            looped=slot.loops, on_start=started, on_end=ended,
        )  # fmt: skip
        slot.voices[voice] = False
        self._tell(slot)
        return at

    def _render(self, slot: _Slot, *, first: bool = False) -> None:
        task = asyncio.create_task(self._render_takes(slot, first=first))
        slot.render = task
        task.add_done_callback(lambda _: self._rendered(slot, task))
        self._tell(slot)

    def _rendered(self, slot: _Slot, task: asyncio.Task[None]) -> None:
        if slot.render is task:
            slot.render = None
            self._tell(slot)

    async def _render_takes(self, slot: _Slot, *, first: bool) -> None:
        transport = self._transport
        request = slot.pad.request(transport.bpm, transport.beats_per_bar, self._player.sample_rate)
        try:
            job = await self._renders.render(request)
            clips = [await self._load(slot, job, index) for index in range(len(job.takes))]
        except AudioLDMError as error:
            slot.error = str(error)
            logger.warning("pad %s: %s", slot.pad.name, error)
            return
        slot.error = ""
        self._change_over(slot, clips)

    async def _load(self, slot: _Slot, job: Job, index: int) -> Clip:
        waveform = await asyncio.to_thread(Waveform.read, job.takes[index].path)
        if not slot.loops:
            return await self._player.load(waveform)
        # The exact length of the bars, of which the file holds the nearest whole frame.
        request = job.request
        length_s = waveform.seconds
        if isinstance(request, TextToAudio):
            length_s = request.length_s(length_s)
        return await self._player.load(waveform, Loop(period_s=length_s, seam_s=0.0))

    def _change_over(self, slot: _Slot, clips: list[Clip]) -> None:
        old, slot.clips, slot.next_take = slot.clips, clips, 1 if len(clips) > 1 else 0
        if slot.loops and slot.stays:
            # The choke group fades the old take out where the new one begins.
            self._start(slot, clips[0], float(self._transport.beats_per_bar), None)
        else:
            slot.next_take = 0
        for clip in old:
            self._player.unload(clip)

    def _state(self, slot: _Slot) -> PadState:
        if slot.voices:
            return "playing" if slot.sounds else "queued"
        if slot.clips:
            return "ready"
        if slot.render:
            return "rendering"
        return "failed" if slot.error else "empty"

    def _describe(self, slot: _Slot) -> PadReport:
        return PadReport(
            number=slot.number, name=slot.pad.name, state=self._state(slot),
            takes=len(slot.clips), refreshing=slot.render is not None and bool(slot.clips),
            error=slot.error,
        )  # fmt: skip

    def _tell(self, slot: _Slot) -> None:
        if self._slots.get(slot.number) is slot:
            self._report(self._describe(slot))
