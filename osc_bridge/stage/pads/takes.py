"""The takes of a pad: rendered by the engine, cut to the bar and placed in memory."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from osc_bridge.audio.clips import LoadedClip, Loop
from osc_bridge.audio.player import Player
from osc_bridge.stage.listening.shape import Shape
from osc_bridge.stage.liveset import Pad
from osc_bridge.stage.pads.loop_grid import LoopGrid
from osc_bridge.stage.renders import Renders
from server.audio.fence.reading import read_sound
from server.audio.waveform import Waveform
from server.requests.request import TextToAudio

__all__ = ["PadTakes"]

_CUT_SEAM_S: Final = 0.01


class PadTakes:
    """Renders and loads the takes of pads.

    Args:
        player: whose memory holds them.
        renders: renders them.
        grid: loops of bars are as long as its bars.
    """

    def __init__(self, player: Player, renders: Renders, grid: LoopGrid) -> None:
        self._player = player
        self._renders = renders
        self._grid = grid
        self._shapes: dict[str, Shape] = {}
        self._plain = WeakKeyDictionary[LoadedClip, Waveform]()
        """What was there before it was shaped."""

    def shape_of(self, pad: Pad) -> Shape | None:
        """What is done to what is loaded for ``pad``."""
        return self._shapes.get(pad.name)

    def reshape(self, pad: Pad, shape: Shape | None) -> None:
        """Shape what is loaded for ``pad`` from now on."""
        self._shapes.pop(pad.name, None)
        if shape is not None:
            self._shapes[pad.name] = shape

    def forget_shapes_but(self, pads: Sequence[Pad]) -> None:
        """Forget the shapes of pads of other sets."""
        names = {pad.name for pad in pads}
        self._shapes = {name: shape for name, shape in self._shapes.items() if name in names}

    async def render(self, pad: Pad, bpm: float, beats_per_bar: float) -> list[LoadedClip]:
        """New takes of ``pad``, in memory.

        Raises:
            AudioLDMError: the engine or the memory for sounds refused.
        """
        request = pad.request(bpm, beats_per_bar, self._player.sample_rate)
        job = await self._renders.render(request)
        sounds = [await read_sound(take.path) for take in job.takes]
        return await self._load(pad, sounds, request)

    async def retrieved(self, pad: Pad, paths: Sequence[Path]) -> list[LoadedClip]:
        """Sounds that are there already, in memory; cut to the bars of the pad.

        Raises:
            AudioLDMError: it cannot be read, or the memory for sounds refused.
        """
        return await self._load(pad, [await read_sound(path) for path in paths], None)

    async def cut(self, pad: Pad, clips: Sequence[LoadedClip]) -> list[LoadedClip]:
        """The same takes, cut to the current grid.

        Raises:
            AudioLDMError: the memory for sounds refused.
        """
        return await self._load(pad, [self._plain.get(clip, clip.source) for clip in clips], None)

    def unload(self, clips: Sequence[LoadedClip]) -> None:
        """Free clips when the voices that play them have ended."""
        for clip in clips:
            self._player.unload(clip)

    async def _load(
        self, pad: Pad, sounds: Sequence[Waveform], request: TextToAudio | None
    ) -> list[LoadedClip]:
        """All clips or none, loops of bars as long as bars are when the last one is loaded."""
        while True:
            bpm, clips = self._grid.map.bpm, list[LoadedClip]()
            try:
                for sound in sounds:
                    clips.append(await self._load_one(pad, sound, request))
            except BaseException:
                self.unload(clips)
                raise
            if bpm == self._grid.map.bpm:
                return clips
            self.unload(clips)

    async def _load_one(self, pad: Pad, sound: Waveform, request: TextToAudio | None) -> LoadedClip:
        loop, shaped = self._loop(pad, sound, request), sound
        if shape := self._shapes.get(pad.name):
            shaped = await asyncio.to_thread(partial(shape.of, sound, loops=loop is not None))
        clip = await self._player.load(shaped, loop)
        self._plain[clip] = sound
        return clip

    def _loop(self, pad: Pad, sound: Waveform, request: TextToAudio | None) -> Loop | None:
        if pad.mode != "loop":
            return None
        # The exact length of the bars; the file holds the nearest whole number of frames.
        if request is None and not pad.bars:
            return Loop()
        rendered_s = request.length_s(sound.seconds) if request else 0.0
        length_s = pad.length_s(self._grid.bar_s, rendered_s) if pad.bars else rendered_s
        as_rendered = math.isclose(length_s, rendered_s, rel_tol=1e-9)
        return Loop(length_s, 0.0 if as_rendered else _CUT_SEAM_S)
