"""What an earlier run left half done is deleted; what is arriving now is not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from fleet_run import ModelLog, make_models

from server.config import Config
from server.engine.fleet import Fleet
from server.engine.local import LocalEngine
from server.launch import keep_house


def left_over(path: Path) -> Path:
    """A file that nothing has touched for years."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (1e9, 1e9))
    return path


def test_a_clip_that_arrives_while_the_model_loads_stays(tiny_folder: Path, tmp_path: Path) -> None:
    uploads = tmp_path / "state" / "uploads"
    left_over(uploads / ".left.part")
    old = left_over(uploads / "old.json")
    (uploads / ".now.part").touch()

    async def scenario() -> None:
        engine = LocalEngine(tiny_folder, tmp_path / "takes")
        house = asyncio.create_task(
            keep_house(engine, Config(state_folder=str(tmp_path / "state")))
        )
        while old.exists():  # the last thing that is looked at
            await asyncio.sleep(0.01)
        house.cancel()
        await asyncio.gather(house, return_exceptions=True)

    asyncio.run(scenario())
    assert [path.name for path in uploads.iterdir()] == [".now.part"]


@pytest.mark.integration
def test_takes_are_swept_before_the_first_model_loads_and_not_after(
    tiny_folder: Path, tmp_path: Path
) -> None:
    takes = tmp_path / "takes"
    left = left_over(takes / "drums" / ".left.wav.1.part")
    writing = takes / ".writing.wav.2.part"
    fleet = Fleet(make_models(tiny_folder, tmp_path / "models"), takes, devices=("cpu",), threads=1)
    seen: list[tuple[str, str, bool]] = []
    fleet.listen_models(lambda info: seen.append((info.name, info.state, left.exists())))

    async def scenario() -> None:
        models = ModelLog(fleet)
        try:
            await fleet.start()
            # A take whose write outlasts the load of another model.
            writing.write_bytes(b"half")
            await fleet.load_model("two")
            await models.until("two", "loaded")
        finally:
            await fleet.close()

    asyncio.run(scenario())
    states = list(dict.fromkeys(seen))  # loading says again how far it is
    assert states[:2] == [("one", "loading", False), ("one", "loaded", False)]
    assert writing.exists()
