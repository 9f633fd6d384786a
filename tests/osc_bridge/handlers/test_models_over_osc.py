"""Models through a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge, running_bridge

from osc_bridge.client.client import Client
from server.engine.engine import ModelInfo
from server.errors import Forbidden, InvalidRequest, NotFound, TooLarge
from server.model.manifest import Manifest
from server.store.plan import AddRequest

pytestmark = pytest.mark.integration


class ModelsEngine(MemoryEngine):
    """Two models that are loaded when the test says so."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        super().__init__(manifest, folder)
        small = ModelInfo(name="small", state="loaded", default=True, memory_bytes=200 * 2**20)
        large = ModelInfo(name="large", state="unloaded", devices=("cuda:0", "cuda:1"))
        self.all = {"small": small, "large": large}

    @property
    def memory(self) -> tuple[int, int]:
        return 0, 2**30

    def models(self) -> list[ModelInfo]:
        return list(self.all.values())

    async def add_model(self, request: AddRequest) -> ModelInfo:
        if not request.accept_licence:
            raise Forbidden("its licence is not accepted")
        self.all[request.source] = ModelInfo(name=request.source, state="adding")
        return self.become(request.source, "adding")

    async def load_model(self, name: str) -> ModelInfo:
        if name == "huge":
            raise TooLarge("model 'huge' needs about 9.0 GiB")
        return self.become(name, "waiting")

    async def unload_model(self, name: str) -> ModelInfo:
        return self.become(name, "unloaded")

    @property
    def num_model_listeners(self) -> int:
        return len(self._model_listeners)

    def become(self, name: str, state: str) -> ModelInfo:
        if name not in self.all:
            raise NotFound(f"no model {name!r}")
        self.all[name] = msgspec.structs.replace(self.all[name], state=state)
        self._model_listeners.notify(self.all[name])
        return self.all[name]


@pytest.fixture
def models(tiny_folder: Path, takes: Path) -> Iterator[RunningBridge[ModelsEngine]]:
    engine = ModelsEngine(Manifest.load(tiny_folder), takes)
    with running_bridge(engine, takes) as running:
        yield running
    assert engine.num_model_listeners == 0


def test_models_are_listed(models: RunningBridge[ModelsEngine]) -> None:
    with models.client() as client:
        client.send("/ldm/model/list")
        *entries, listed = client.messages(1.0)
    assert listed.arguments == (2,)
    assert entries[0].arguments == ("small", "loaded", 200, "", 0, "")
    assert entries[1].arguments == ("large", "unloaded", 0, "cuda:0,cuda:1", 0, "")


def test_who_asks_for_a_model_is_told_until_it_is_loaded(
    models: RunningBridge[ModelsEngine],
) -> None:
    with models.client() as client, models.client() as watcher:
        assert watcher.query("/ldm/notify", 1) == (1,)
        assert client.query("/ldm/model/load", "large") == ("large", "waiting", "")
        for state in ("loading", "loaded", "unloading"):
            models.call(models.engine.become, "large", state)
        reported = [m.arguments for m in client.messages(1.0) if m.address == "/ldm/model/state"]
        assert reported == [("large", "loading", ""), ("large", "loaded", "")]
        heard = [m.arguments[1] for m in watcher.messages(1.0) if m.address == "/ldm/notify/model"]
        assert heard == ["waiting", "loading", "loaded", "unloading"]
        assert client.query("/ldm/model/unload", "large") == ("large", "unloaded", "")
        with pytest.raises(NotFound, match="no model 'none'"):
            client.query("/ldm/model/unload", "none")
        with pytest.raises(TooLarge, match=r"9\.0 GiB"):
            client.query("/ldm/model/load", "huge")


def test_who_adds_a_model_is_told_how_far_it_is(models: RunningBridge[ModelsEngine]) -> None:
    def half_done() -> None:
        info = ModelInfo(
            name="new", state="adding", stage="downloading", done_bytes=5, total_bytes=10, left_s=2
        )
        models.engine._model_listeners.notify(info)

    with models.client() as client, models.client() as watcher:
        assert watcher.query("/ldm/notify", 1) == (1,)
        assert client.query("/ldm/model/add", "new", 1) == ("new", "adding", "")
        models.call(half_done)
        models.call(models.engine.become, "new", "unloaded")
        progress, state = [m for m in client.messages(1.0) if "/ldm/model/" in m.address]
        assert progress.arguments == ("new", "downloading", 0.5, 2.0)
        assert state.arguments == ("new", "unloaded", "")
        heard = [m.arguments[1] for m in watcher.messages(1.0) if m.address == "/ldm/notify/model"]
        assert heard == ["adding", "unloaded"]
        with pytest.raises(Forbidden):
            client.query("/ldm/model/add", "other")


def test_a_job_names_its_model(models: RunningBridge[ModelsEngine]) -> None:
    with models.client() as client:
        client.render("rain", model="large")
        client.send("/ldm/set/model", "small")
        client.send("/ldm/text", "b", "wind")
        assert [m.address for m in client.messages(0.5)][-1] == "/ldm/job/done"
    assert [job.request.model for job in models.engine.jobs()] == ["large", "small"]


def test_an_engine_of_one_model_lists_it_and_keeps_it(client: Client, tiny_folder: Path) -> None:
    client.send("/ldm/model/list")
    entry, listed = client.messages(1.0)
    assert (entry.arguments[:2], listed.arguments) == (
        (Manifest.load(tiny_folder).name, "loaded"),
        (1,),
    )
    with pytest.raises(InvalidRequest, match="one model"):
        client.query("/ldm/model/load", "tiny")
