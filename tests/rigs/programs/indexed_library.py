"""A sample library with the built-in model, and how tests wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from server.config import built_in_model
from server.sample_library.library import LibraryState, SampleLibrary
from server.worker.towers import ClapTowers

__all__ = ["indexed", "library_in", "until"]


@asynccontextmanager
async def library_in(state: Path) -> AsyncIterator[SampleLibrary]:
    towers = ClapTowers(built_in_model())
    library = SampleLibrary(state, built_in_model(), towers)
    try:
        await library.start()
        yield library
    finally:
        await library.close()
        towers.close()


async def until(
    library: SampleLibrary, holds: Callable[[LibraryState], bool], timeout_s: float = 120.0
) -> LibraryState:
    async with asyncio.timeout(timeout_s):
        while not holds(state := await library.state()):
            await asyncio.sleep(0.05)
        return state


def indexed(state: LibraryState) -> bool:
    return all(folder.state == "indexed" for folder in state.folders)
