"""Models over HTTP, and through the remote engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from engine_log import EngineLog
from fleet_run import ModelLog, make_models, room_for, running_fleet
from server_run import QUICK, running_server
from websockets.asyncio.client import connect

from server.errors import NotFound
from server.http.access import Caller, Gate, TokenFile
from server.http.app import HttpApi
from server.http.server import serving
from server.jobs.job import JobState
from server.jobs.uploads import Uploads
from server.remote.remote_engine import RemoteEngine
from server.render.recipe import Recipe
from server.requests.request import parse_request

pytestmark = pytest.mark.integration


@pytest.fixture
def folders(tiny_folder: Path, tmp_path: Path) -> list[Path]:
    return make_models(tiny_folder, tmp_path / "models")


@asynccontextmanager
async def served(
    folders: list[Path], folder: Path, gate: Gate | None = None, **options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, ModelLog, str]]:
    async with running_fleet(folders, folder / "takes", **options) as (fleet, _, models):
        api = HttpApi(fleet, Uploads(folder / "uploads", 2**20), gate=gate)
        async with serving(api.app, "127.0.0.1", 0) as port:
            url = f"http://127.0.0.1:{port}"
            try:
                async with httpx.AsyncClient(base_url=url, timeout=60) as client:
                    yield client, models, url
            finally:
                api.close()


def test_models_are_listed_loaded_and_unloaded(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        budget = room_for(2, folders[0])
        async with served(folders, tmp_path, budget_bytes=budget) as (http, _, url):
            listed = (await http.get("/v1/models")).json()
            assert listed["budget_bytes"] == budget == 2 * listed["used_bytes"]
            one, two, _ = listed["models"]
            assert (one["name"], one["state"], one["default"]) == ("one", "loaded", True)
            assert (two["name"], two["state"], two["default"]) == ("two", "unloaded", False)
            assert (one["sample_rate"], one["devices"]) == (16000, ["cpu"])
            assert one["licence"]
            assert one["digest"] != two["digest"]
            async with connect(f"{url.replace('http', 'ws')}/v1/events") as events:
                begun = await http.post("/v1/models/two/load")
                assert (begun.status_code, begun.json()["state"]) == (202, "waiting")
                states: list[str] = []
                async with asyncio.timeout(60):
                    while states[-1:] != ["loaded"]:
                        event = json.loads(await events.recv())
                        assert (event["event"], event["model"]["name"]) == ("model", "two")
                        states.append(event["model"]["state"])
                assert set(states) <= {"waiting", "loading", "loaded"}
            gone = await http.post("/v1/models/one/unload")
            assert (gone.status_code, gone.json()["state"]) == (200, "unloaded")
            for path in ("/v1/models/four/load", "/v1/models/four/unload"):
                assert (await http.post(path)).status_code == 404
            refused = await http.post("/v1/jobs", json={**QUICK, "model": "four"})
            assert refused.json()["error"]["message"].endswith("there are one, two, three")
            document = (await http.get("/openapi.json")).json()
            assert "/v1/models/{name}/unload" in document["paths"]

    asyncio.run(scenario())


def test_an_ordinary_client_sees_models_and_does_not_manage_them(
    folders: list[Path], tmp_path: Path
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    token = tokens.add(Caller(name="laptop"))

    async def scenario() -> None:
        async with served(folders[:1], tmp_path, Gate(tokens)) as (http, _, _):
            http.headers["Authorization"] = f"Bearer {token}"
            assert (await http.get("/v1/models")).status_code == 200
            for what in ("load", "unload"):
                assert (await http.post(f"/v1/models/one/{what}")).status_code == 403

    asyncio.run(scenario())


def test_an_engine_of_one_model_lists_it(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            (model,) = (await server.http.get("/v1/models")).json()["models"]
            assert (model["state"], model["default"]) == ("loaded", True)
            assert (await server.http.post("/v1/models/x/unload")).status_code == 400
            by_sound = await server.http.get("/v1/takes", params={"like": "rain"})
            assert by_sound.json()["error"]["message"] == "like: this server cannot search by sound"

    asyncio.run(scenario())


def test_the_remote_engine_has_the_servers_models(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(folders, tmp_path / "there") as (_, _, url):
            remote = RemoteEngine(url, tmp_path / "here")
            log, models = EngineLog(remote), ModelLog(remote)
            try:
                await remote.start()
                assert [info.name for info in remote.models()] == ["one", "two", "three"]
                wanted = parse_request({**QUICK, "model": "two"})
                job = await remote.submit(wanted, owner="a", request_id="1")
                done = await log.final(job.id)
                assert (done.state, done.request.model) == (JobState.DONE, "two")
                assert Recipe.read(done.takes[0].path).model == "two"
                assert (await models.until("two", "loaded")).load_s > 0
                await remote.unload_model("two")
                await models.until("two", "unloaded")
                with pytest.raises(NotFound, match="no model 'four'"):
                    await remote.submit(msgspec.structs.replace(wanted, model="four"))
                plain = parse_request({**QUICK, "seed": 8})
                first = await remote.submit(plain, owner="a", request_id="2")
                again = await remote.submit(plain, owner="a", request_id="2")
                assert (first.id, first.request.model) == (again.id, "one")
            finally:
                await remote.close()

    asyncio.run(scenario())


def test_the_fallback_renders_with_what_it_has(folders: list[Path], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_fleet(folders[:1], tmp_path) as (fleet, log, _):
            remote = RemoteEngine("http://127.0.0.1:1", tmp_path, make_fallback=lambda: fleet)
            fleet.start = _started  # type: ignore[method-assign]
            try:
                await remote.start()
                job = await remote.submit(parse_request({**QUICK, "model": "large"}))
                assert (await log.final(job.id)).request.model == "one"
            finally:
                await remote.close()

    async def _started() -> None:
        """It is up already."""

    asyncio.run(scenario())
