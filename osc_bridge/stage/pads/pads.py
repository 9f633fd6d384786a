"""Pads: takes rendered ahead, sounding from memory on the beat.

A hit never waits for the engine. ``refresh`` renders new takes behind and, where the pad is
looping, swaps them in on its next bar with a crossfade.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from osc_bridge.audio.clips import LoadedClip, Loop
from osc_bridge.audio.player import Player
from osc_bridge.stage.launcher import Launcher
from osc_bridge.stage.liveset import LiveSet
from osc_bridge.stage.pads.slot import PadReport, PadVoice, Slot
from osc_bridge.stage.renders import Renders
from osc_bridge.stage.transport import TempoMap, Transport, quantum_of
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, NotFound
from server.requests.request import TextToAudio

__all__ = ["Pads"]

log = logging.getLogger("audioldm.stage.pads")

_OFF_GRID_S: Final = 0.01
"""Loops that are further off the bar than this are started anew."""
_JITTER: Final = 0.01
"""Of a leading clock's tempo: less is a change only where it adds up."""
_SETTLE_S: Final = 0.2
_CUT_SEAM_S: Final = 0.01


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
        self._slots: dict[int, Slot] = {}
        self._loading = asyncio.Lock()
        self._grid = transport.map
        """What loops of bars are cut to."""
        self._regrid: asyncio.Task[None] | None = None
        self._unlisten = transport.listen(self._follow)

    # --- the set

    async def load(self, live_set: LiveSet) -> None:
        """Replace all pads and render their takes, in order, in the background."""
        async with self._loading:
            await self.clear()
            self._grid = self._transport.map
            for number, pad in enumerate(live_set.pads, 1):
                self._slots[number] = Slot(number, pad)
            for slot in self._slots.values():
                self._render(slot)

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
            raise NotFound(f"pad {slot.pad.name!r} has no take yet; it is {slot.state}")
        slot.take += 1
        slot.level_db = 40.0 * math.log10(min(1.0, max(velocity, 0.01)))
        return self._start(slot, self._quantum(slot), frame)

    def stop(self, pad: int | str, frame: int | None = None) -> int:
        """Stop a pad at its grid; returns the frame (0: at once)."""
        slot, quantum = self._slot(pad), self._quantum(self._slot(pad))
        _, at = self._transport.launch(quantum, frame)
        self._take_back(slot, lambda begin: begin >= at)
        for voice in slot.voices.keys() - slot.leaving:
            slot.leaving.add(voice)
            self._launcher.stop(voice, quantum, frame, slot.pad.fade_s)
        return at

    def all_stopped(self) -> None:
        """Everything fades out: nothing of it is to be taken up again."""
        for slot in self._slots.values():
            slot.leaving |= slot.voices.keys()

    def set_gain(self, pad: int | str, gain_db: float) -> None:
        """Level of a pad, also of what it is playing."""
        slot = self._slot(pad)
        slot.gain_db = gain_db
        for number, voice in slot.voices.items():
            self._player.set_gain(number, gain_db + voice.level_db)

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
        if self._regrid is None and not self._fits(self._grid, line):
            self._regrid = asyncio.create_task(self._onto_grid())

    def _fits(self, grid: TempoMap, line: TempoMap) -> bool:
        """True where loops on ``grid`` are not heard to be off ``line``."""
        beat = line.beat_at(self._player.frame_now())
        off = abs(line.frame_of(beat) - grid.frame_of(beat))
        jitter = _JITTER if line.led else 0.0
        return abs(line.bpm / grid.bpm - 1.0) <= jitter and off < _OFF_GRID_S * line.sample_rate

    async def _onto_grid(self) -> None:
        """When the tempo has settled, cut loops of bars to it and start them on the next bar."""
        try:
            line, settled = self._transport.map, False
            while not settled:
                await asyncio.sleep(_SETTLE_S)
                before, line = line, self._transport.map
                settled = self._fits(before, line)
            bpm = self._mean_tempo(line)
            changed, self._grid = bpm != self._grid.bpm, msgspec.structs.replace(line, bpm=bpm)
            for slot in tuple(self._slots.values()):
                if slot.loops and slot.pad.bars is not None and slot.clips:
                    await self._realign(slot, changed)
        finally:
            if self._regrid is asyncio.current_task():
                self._regrid = None

    def _mean_tempo(self, line: TempoMap) -> float:
        """A leading clock's tempo without its jitter: the mean since loops were last cut."""
        grid, now = self._grid, self._player.frame_now()
        if not line.led or line.bpm == grid.bpm or now - grid.frame < line.sample_rate:
            return line.bpm
        mean = (line.beat_at(now) - grid.beat) * 60.0 * line.sample_rate / (now - grid.frame)
        return mean if abs(mean / line.bpm - 1.0) <= _JITTER else line.bpm

    async def _realign(self, slot: Slot, changed: bool) -> None:
        old = slot.clips
        try:
            if not changed:
                if slot.stays:
                    self._take_over(slot)
                return
            clips = await self._load(slot, [clip.source for clip in old], None)
            if slot.clips is old:
                self._change_over(slot, clips)
            else:  # refreshed meanwhile, for the tempo of now
                self._unload(clips)
        except AudioLDMError as error:
            log.warning("pad %s is not back on the bar: %s", slot.pad.name, error)

    # --- inside

    def _slot(self, pad: int | str) -> Slot:
        if isinstance(pad, int) and pad in self._slots:
            return self._slots[pad]
        for slot in self._slots.values():
            if slot.pad.name == str(pad):
                return slot
        raise NotFound(f"pad {pad!r}: there are pads 1 to {len(self._slots)}")

    def _quantum(self, slot: Slot) -> float:
        return quantum_of(slot.pad.quantise, self._transport.beats_per_bar)

    def _take_back(self, slot: Slot, begins: Callable[[int], bool]) -> list[int]:
        """Those that wait for such a frame never begin; the frames."""
        taken = []
        for number, voice in slot.voices.items():
            begin = self._player.start_frame(number)
            if not voice.begun and number not in slot.leaving and begins(begin):
                slot.leaving.add(number)
                self._player.stop(number)
                taken.append(begin)
        return taken

    def _start(self, slot: Slot, quantum: float, frame: int | None) -> int:
        voice, number = PadVoice(slot.level_db), 0

        def started() -> None:
            voice.begun = True
            self._tell(slot)

        def ended() -> None:
            slot.voices.pop(number, None)
            slot.leaving.discard(number)
            self._tell(slot)

        number, at = self._launcher.start(
            slot.clip, quantum, frame, gain_db=slot.gain_db + voice.level_db, choke=slot.group,
            looped=slot.loops, on_start=started, on_end=ended,
        )  # fmt: skip
        # Two hits for one beat are one. What a sequencer sent ahead for another time stays.
        self._take_back(slot, lambda begin: begin == at)
        slot.voices[number] = voice
        self._tell(slot)
        return at

    def _take_over(self, slot: Slot) -> None:
        """Begin again: on the next bar where the pad sounds, else when it was to begin."""
        sounds = any(v.begun and n not in slot.leaving for n, v in slot.voices.items())
        waiting = self._take_back(slot, lambda begin: True)
        if sounds:
            # The choke group fades the old take out where the new one begins.
            self._start(slot, float(self._transport.beats_per_bar), None)
        elif waiting:
            self._start(slot, self._quantum(slot), max(waiting) or None)

    def _render(self, slot: Slot) -> None:
        task = asyncio.create_task(self._render_takes(slot))
        slot.render = task
        task.add_done_callback(lambda _: self._rendered(slot, task))
        self._tell(slot)

    def _rendered(self, slot: Slot, task: asyncio.Task[None]) -> None:
        if slot.render is task:
            slot.render = None
            self._tell(slot)

    async def _render_takes(self, slot: Slot) -> None:
        transport, pad, rate = self._transport, slot.pad, self._player.sample_rate
        bpm = transport.bpm if self._regrid else self._grid.bpm
        try:
            request = pad.request(bpm, transport.beats_per_bar, rate)
            job = await self._renders.render(request)
            sounds = [await asyncio.to_thread(Waveform.read, take.path) for take in job.takes]
            clips = await self._load(slot, sounds, request)
        except AudioLDMError as error:
            slot.error = str(error)
            log.warning("pad %s: %s", slot.pad.name, error)
            return
        slot.error = ""
        slot.take = 0 if slot.loops and slot.stays else -1
        self._change_over(slot, clips)

    async def _load(
        self, slot: Slot, sounds: Sequence[Waveform], request: TextToAudio | None
    ) -> list[LoadedClip]:
        """All clips or none, loops of bars as long as bars are now.

        Args:
            request: what the sounds were just rendered for; None: they were cut before.
        """
        while True:
            bpm, clips = self._grid.bpm, list[LoadedClip]()
            try:
                for sound in sounds:
                    clips.append(await self._player.load(sound, self._loop(slot, sound, request)))
            except BaseException:
                self._unload(clips)
                raise
            if bpm == self._grid.bpm:
                return clips
            self._unload(clips)

    def _loop(self, slot: Slot, sound: Waveform, request: TextToAudio | None) -> Loop | None:
        if not slot.loops:
            return None
        # The exact length of the bars, of which the file holds the nearest whole frame.
        rendered_s = request.length_s(sound.seconds) if request else 0.0
        bar_s = self._transport.beats_per_bar * 60.0 / self._grid.bpm
        length_s = slot.pad.length_s(bar_s, rendered_s) if slot.pad.bars else rendered_s
        as_rendered = math.isclose(length_s, rendered_s, rel_tol=1e-9)
        return Loop(length_s, 0.0 if as_rendered else _CUT_SEAM_S)

    def _unload(self, clips: Sequence[LoadedClip]) -> None:
        for clip in clips:
            self._player.unload(clip)

    def _change_over(self, slot: Slot, clips: list[LoadedClip]) -> None:
        old, slot.clips = slot.clips, clips
        try:
            if slot.loops and slot.stays:
                self._take_over(slot)
        finally:
            self._unload(old)

    def _tell(self, slot: Slot) -> None:
        if self._slots.get(slot.number) is slot:
            self._report(slot.report())
