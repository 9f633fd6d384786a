"""Search of takes by sound, with the built-in model."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from fleet_run import running_fleet
from onnx_builder import Graph as OnnxGraph

from server.config import built_in_model
from server.errors import AudioLDMError, ModelError, UnreadableAudio
from server.http.app import HttpApi
from server.http.server import serving
from server.jobs.job import TakeInfo
from server.jobs.journal import Journal
from server.jobs.sound_search import SoundSearch
from server.jobs.uploads import Uploads
from server.model.manifest import Manifest, describe_file
from server.render.pipeline import Pipeline
from server.requests.request import TextToAudio
from server.worker.main import store
from server.worker.towers import ClapTowers, memory_limit

PROMPTS = ("heavy rain", "a deep kick drum")


@pytest.mark.integration
def test_rain_is_found_by_its_sound_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    towers = ClapTowers(built_in_model())

    async def scenario() -> None:
        journal = Journal(path)
        async with running_fleet([built_in_model()], tmp_path, journal=journal) as (fleet, log, _):
            api = HttpApi(
                fleet, Uploads(tmp_path / "uploads", 2**20), journal=journal, towers=towers
            )
            async with serving(api.app, "127.0.0.1", 0) as port:
                http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60)
                search = partial(http.get, "/v1/takes")
                for prompt in PROMPTS:
                    wanted = TextToAudio(prompt=prompt, seed=1, audio_length_in_s=2.0)
                    await log.final((await fleet.submit(wanted)).id)
                rain, kick = (await search(params={"like": "rain"})).json()
                assert (rain["prompt"], kick["prompt"]) == PROMPTS
                assert rain["similarity"] > kick["similarity"]
                kick, rain = (await search(params={"like": "kick drum"})).json()
                assert (rain["prompt"], kick["prompt"]) == PROMPTS
                (only,) = (await search(params={"like": "rain", "query": "kick"})).json()
                assert only["prompt"] == PROMPTS[1]
                (second,) = (await search(params={"like": "rain", "offset": 1})).json()
                assert second["prompt"] == PROMPTS[1]
                Path(rain["take"]["path"]).unlink()  # its embedding is stored
                assert len((await search(params={"like": "rain"})).json()) == 1
                assert len((await search()).json()) == 1
                deleted = f"/v1/takes/{rain['job_id']}/1"
                assert (await http.delete(deleted)).status_code == 204
                (left,) = (await search(params={"like": "rain"})).json()
                assert left["prompt"] == PROMPTS[1]
                assert (await search()).json()[0]["similarity"] is None
                # The embeddings of the worker sufficed.
                rows = await journal.query(lambda c: c.execute("SELECT * FROM heard").fetchall())
                assert rows == []
                await http.aclose()
                api.close()

    asyncio.run(scenario())
    towers.close()


class CountingTowers:
    """Towers with made-up embeddings that count the files they embed."""

    audio_tower = "ours"

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed_text(self, text: str) -> npt.NDArray[np.float32]:
        return np.array([1.0, 0.0], np.float32)

    def embed_file(self, path: Path) -> npt.NDArray[np.float32]:
        self.embedded.append(path.stem)
        if path.stem == "gone":
            raise UnreadableAudio("gone.wav does not exist")
        return np.array([0.6, 0.8], np.float32)


def take(name: str, embedding: Sequence[float] = (), audio_tower: str = "") -> TakeInfo:
    stored = np.array(embedding, "<f2").tobytes()
    return TakeInfo(
        path=Path(f"{name}.wav"),
        seed=1,
        sample_rate=16000,
        channels=1,
        frames=16000,
        embedding=stored,
        audio_tower=audio_tower,
    )


def test_only_takes_without_an_embedding_of_the_tower_are_embedded(tmp_path: Path) -> None:
    towers = CountingTowers()
    takes = {
        ("worker", 1): take("worker", (0.0, 1.0), "ours"),
        ("older", 1): take("older", (1.0, 0.0)),
        ("other", 1): take("other", (1.0, 0.0), "theirs"),
        ("none", 1): take("none"),
        ("gone", 1): take("gone"),
    }

    async def scenario() -> None:
        journal = Journal(tmp_path / "journal.sqlite3")
        journal.load()
        search = SoundSearch(journal, towers)
        first = await search.rank("rain", takes)
        assert sorted(towers.embedded) == ["gone", "none", "older", "other"]
        assert [take for take, _ in first][-1] == ("worker", 1)
        assert dict(first)["older", 1] == pytest.approx(0.6)
        assert ("gone", 1) not in dict(first)
        assert await search.rank("rain", takes) == first
        assert len(towers.embedded) == 4
        journal.close()

    asyncio.run(scenario())


def test_the_stored_embedding_is_that_of_the_file(tiny_folder: Path, tmp_path: Path) -> None:
    pipeline = Pipeline(tiny_folder, "cpu", 1)
    info = store(pipeline.render(TextToAudio(prompt="low", seed=1))[0], tmp_path / "take.wav")
    towers = ClapTowers(tiny_folder)
    assert info.audio_tower == towers.audio_tower
    stored = np.frombuffer(info.embedding, "<f2").astype(np.float32)
    np.testing.assert_allclose(stored, towers.embed_file(info.path), atol=2e-3)


def hostile(tiny_folder: Path, folder: Path, gibibytes: int) -> Path:
    """A model folder whose audio tower fills the memory when it embeds a sound."""
    shutil.copytree(tiny_folder, folder)
    manifest = Manifest.load(folder)
    g = OnnxGraph()
    rows = g("ConstantOfShape", g.const([gibibytes * 2**18, 1024], np.int64))
    full = g("ReduceSum", g("Add", rows, g.const(1.0)), keepdims=0)
    ones = g("Mul", g.const(np.ones((1, manifest.embedding_dim))), full)
    g("Add", ones, g("ReduceMean", "waveform", keepdims=0), name="embedding")
    size = manifest.audio_encoder.num_samples or "samples"
    model = g.model({"waveform": [1, size]}, {"embedding": [1, manifest.embedding_dim]})
    (folder / "audio_encoder.onnx").write_bytes(model.SerializeToString())
    entry = describe_file(folder / "audio_encoder.onnx")
    files = {**manifest.files, "audio_encoder.onnx": entry}
    msgspec.structs.replace(manifest, files=files).save(folder)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_a_hostile_tower_costs_its_process_and_nobody_else(
    tiny_folder: Path, tmp_path: Path
) -> None:
    pipeline = Pipeline(tiny_folder, "cpu", 1)
    info = store(pipeline.render(TextToAudio(prompt="low", seed=1))[0], tmp_path / "take.wav")
    towers = ClapTowers(hostile(tiny_folder, tmp_path / "model", 6))
    assert len(towers.embed_text("rain")) == towers_size(tiny_folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        with pytest.raises(AudioLDMError):
            towers.embed_file(info.path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert memory_limit(tmp_path / "model") < 2**30
    assert len(towers.embed_text("rain")) == towers_size(tiny_folder)
    towers.close()


def towers_size(folder: Path) -> int:
    return Manifest.load(folder).embedding_dim


def test_a_tower_that_hangs_is_given_up(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.worker.towers._LOAD_S", 0.01)
    towers = ClapTowers(tiny_folder)
    with pytest.raises(ModelError, match="or crashed"):
        towers.embed_text("rain")
    monkeypatch.undo()
    assert len(towers.embed_text("rain")) == towers_size(tiny_folder)
    towers.close()


def test_errors_of_the_towers_name_the_users_file(tiny_folder: Path, tmp_path: Path) -> None:
    towers = ClapTowers(tiny_folder)
    letter = tmp_path / "letter.wav"
    letter.write_text("Dear diary")
    with pytest.raises(UnreadableAudio, match=f"^{letter} cannot be read as audio"):
        towers.embed_file(letter)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableAudio):
        towers.embed_file(tmp_path / "pipe")
    towers.close()


def test_searches_share_the_process_of_the_towers(tiny_folder: Path) -> None:
    towers = ClapTowers(tiny_folder)
    words = [f"sound {number}" for number in range(8)]
    alone = [towers.embed_text(word) for word in words]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(towers.embed_text, words))
    np.testing.assert_array_equal(together, alone)
    towers.close()
