"""The takes of a pad: rendered by the engine, cut to the bar and placed in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from osc_bridge.audio.clips import LoadedClip, Loop
from osc_bridge.audio.player import Player
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
        return await self._load(pad, [clip.source for clip in clips], None)

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
                    clips.append(await self._player.load(sound, self._loop(pad, sound, request)))
            except BaseException:
                self.unload(clips)
                raise
            if bpm == self._grid.map.bpm:
                return clips
            self.unload(clips)

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
