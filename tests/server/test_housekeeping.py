"""What an earlier run left half done is deleted; what is arriving now is not."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from server.config import Config
from server.launch import keep_house
from server.local_engine import LocalEngine


def test_a_clip_that_arrives_while_the_model_loads_stays(tiny_folder: Path, tmp_path: Path) -> None:
    uploads = tmp_path / "state" / "uploads"
    uploads.mkdir(parents=True)
    begun_s = time.time()
    left, arriving, old = uploads / ".left.part", uploads / ".now.part", uploads / "old.json"
    for path, age_s in ((left, 60), (arriving, -1), (old, 1e9)):
        path.touch()
        os.utime(path, (begun_s - age_s, begun_s - age_s))

    async def scenario() -> None:
        engine = LocalEngine(tiny_folder, tmp_path / "takes")
        house = asyncio.create_task(
            keep_house(engine, Config(state_folder=str(tmp_path / "state")), begun_s)
        )
        while old.exists():  # the last thing that is looked at
            await asyncio.sleep(0.01)
        house.cancel()
        await asyncio.gather(house, return_exceptions=True)

    asyncio.run(scenario())
    assert [path.name for path in uploads.iterdir()] == [".now.part"]
