"""A model folder of which one byte has changed renders nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from engine_log import SLOW, running_engine

from server.errors import ModelError
from server.model import checksums
from server.model.manifest import Manifest

pytestmark = pytest.mark.integration


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["unet.onnx", "audio_encoder.onnx", "tokenizer.json"])
def test_a_flipped_byte_is_found_at_load(tiny_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    flip(folder / name)

    async def scenario() -> None:
        async with running_engine(folder, tmp_path / "takes"):
            pass

    with pytest.raises(ModelError, match=f"{name} is damaged"):
        asyncio.run(scenario())


def test_a_byte_that_flips_later_is_found_when_the_worker_starts_again(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")

    async def scenario() -> None:
        async with running_engine(folder, tmp_path / "takes") as (engine, log):
            job = await engine.submit(SLOW)
            await log.step(job.id, 1)
            flip(folder / "unet.onnx")
            os.kill(int(engine.status().details["worker_pid"]), 9)
            await log.until(lambda: not engine.job(job.id).step)
            await asyncio.sleep(1.5)
            assert engine.status().state == "restarting"
            assert any("is damaged" in why for why in engine.supervisor.failures.values())

    asyncio.run(scenario())


def test_an_unchanged_file_is_read_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    read: list[str] = []

    def digest(file: Any, kind: str) -> Any:
        read.append(Path(file.name).name)
        return hashlib.file_digest(file, kind)

    class Counted:
        file_digest = staticmethod(digest)

    monkeypatch.setattr(checksums, "hashlib", Counted)
    manifest = Manifest.load(folder)
    manifest.verify(folder)
    assert sorted(read) == sorted(manifest.files)
    manifest.verify(folder)
    os.utime(folder / "unet.onnx", (1e9, 1e9))
    manifest.verify(folder)
    assert read[len(manifest.files) :] == ["unet.onnx"]
