"""A fleet of small models, and what it says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from engine_log import EngineLog

from server.engine.engine import Engine, ModelInfo
from server.engine.fleet import Fleet
from server.model.manifest import Manifest, describe_file
from server.model.memory import memory_needed


def make_models(tiny_folder: Path, parent: Path) -> list[Path]:
    """Three models that differ in name and digest."""
    made = []
    for number, name in enumerate(("one", "two", "three")):
        folder = parent / name
        shutil.copytree(tiny_folder, folder)
        manifest = Manifest.load(folder)
        with (folder / "tokenizer.json").open("ab") as tokenizer:
            tokenizer.write(b"\n" * (number + 1))
        files = {**manifest.files, "tokenizer.json": describe_file(folder / "tokenizer.json")}
        msgspec.structs.replace(manifest, name=name, files=files).save(folder)
        made.append(folder)
    return made


def room_for(count: float, folder: Path) -> int:
    return round(count * memory_needed(Manifest.load(folder)))


class ModelLog:
    """What an engine said of its models, in order."""

    def __init__(self, engine: Engine) -> None:
        self.events: list[ModelInfo] = []
        self._engine = engine
        self._changed = asyncio.Event()
        engine.listen_models(self._take_note)

    def _take_note(self, info: ModelInfo) -> None:
        self.events.append(info)
        self._changed.set()

    def states(self, name: str) -> list[str]:
        """Each state that the model came to; what was said of progress in it is left out."""
        return [state for state, _ in groupby(i.state for i in self.events if i.name == name)]

    async def until(self, name: str, state: str) -> ModelInfo:
        """The model when it stands so."""
        async with asyncio.timeout(120):
            while True:
                self._changed.clear()
                (info,) = (i for i in self._engine.models() if i.name == name)
                if info.state == state:
                    return info
                await self._changed.wait()


@asynccontextmanager
async def running_fleet(
    folders: list[Path], takes: Path, **options: Any
) -> AsyncIterator[tuple[Fleet, EngineLog, ModelLog]]:
    options = {"devices": ("cpu",), "threads": 1, **options}
    fleet = Fleet(folders, takes, **options)
    log, models = EngineLog(fleet), ModelLog(fleet)
    try:
        await fleet.start()
        yield fleet, log, models
    finally:
        await fleet.close()
