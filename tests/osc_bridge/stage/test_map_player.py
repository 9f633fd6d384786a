"""The player of the map, on a stage and a library that are stood in for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from osc_bridge.stage.map_player import MapPlayer, MapVoice, Place
from server.errors import AudioLDMError, DeviceError


class OneSound:
    """A library of one sound, and a stage whose device is away for the first play."""

    def __init__(self) -> None:
        self.plays = 0

    async def layout(self) -> Any:
        return SimpleNamespace(nearest=lambda x, y: 0)

    async def sample(self, row: int) -> Any:
        return SimpleNamespace(path=Path("rain.wav"), about=SimpleNamespace(character="loop"))

    async def play(self, path: Path, **_: object) -> tuple[int, int]:
        self.plays += 1
        if self.plays == 1:
            raise DeviceError("the device is away")
        return 7, 100


def test_a_place_that_could_not_be_played_is_played_when_it_is_asked_for_again() -> None:
    both: Any = OneSound()
    answers: list[MapVoice | AudioLDMError] = []

    async def run() -> None:
        player = MapPlayer(both, both)
        for _ in range(3):
            player.go(Place(), answers.append)
            assert player._task is not None
            await player._task
        await player.close()

    asyncio.run(run())
    assert [type(answer) for answer in answers] == [DeviceError, MapVoice]
    assert both.plays == 2
