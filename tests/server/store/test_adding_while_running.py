"""A model is added to a running server, and renders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import huggingface_hub.constants
import pytest
from fleet_run import ModelLog, running_fleet
from hub_stand_in import HubStandIn

import server.store.adding
from server.checkpoints.templates import Templates
from server.engine.fleet import Fleet
from server.http.access import Caller, Gate, TokenFile
from server.http.app import HttpApi
from server.http.server import serving
from server.jobs.uploads import Uploads
from server.requests.request import parse_request

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
ADD = {"source": "somebody/narrow", "accept_licence": True}


@pytest.fixture(autouse=True)
def _hub(hub: HubStandIn, narrow_templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = huggingface_hub.constants
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        server.store.adding, "built_in_templates", lambda: Templates(narrow_templates)
    )


@asynccontextmanager
async def served(
    tiny_folder: Path, folder: Path, gate: Gate | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, Fleet, ModelLog]]:
    options = {"models_folder": folder / "models"}
    async with running_fleet([tiny_folder], folder / "takes", **options) as (fleet, _, log):
        api = HttpApi(fleet, Uploads(folder / "uploads", 2**20), gate=gate)
        async with serving(api.app, "127.0.0.1", 0) as port:
            try:
                url = f"http://127.0.0.1:{port}"
                async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                    yield http, fleet, log
            finally:
                api.close()


def test_a_model_is_added_and_renders(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tiny_folder, tmp_path) as (http, fleet, log):
            begun = await http.post("/v1/models", json=ADD)
            assert (begun.status_code, begun.json()["state"]) == (202, "adding")
            assert (await http.post("/v1/models", json=ADD)).status_code == 409
            await log.until("narrow", "unloaded")
            stages = [info.stage for info in log.events if info.state == "adding"]
            assert {"downloading", "checking", "converting"} <= set(stages)
            request = parse_request(
                {
                    "kind": "text",
                    "prompt": "rain",
                    "model": "narrow",
                    "num_inference_steps": 1,
                    "audio_length_in_s": 1,
                }
            )
            job = await fleet.submit(request)
            assert (await fleet.ended(job.id)).error == ""
            listed = (await http.get("/v1/models")).json()
            assert [model["name"] for model in listed["models"]][1:] == ["narrow"]
            assert "audioldm-s-full-v2" in [offer["name"] for offer in listed["offers"]]

    asyncio.run(scenario())


def test_a_model_that_is_here_under_another_name_is_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(tiny_folder, tmp_path) as (http, fleet, log):
            await http.post("/v1/models", json=ADD)
            await log.until("narrow", "unloaded")
            assert (await http.post("/v1/models", json={**ADD, "name": "twin"})).status_code == 202
            refused = await log.until("twin", "failed")
            assert "the same model as narrow" in refused.error
            known = [model.digest for model in fleet.models() if model.state != "failed"]
            assert len(known) == len(set(known)) == 2

    asyncio.run(scenario())


def test_a_failed_addition_says_why_and_may_be_tried_again(
    hub: HubStandIn, tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(tiny_folder, tmp_path) as (http, _, log):
            hub.damaged = True
            await http.post("/v1/models", json=ADD)
            assert "damaged" in (await log.until("narrow", "failed")).error
            hub.damaged = False
            assert (await http.post("/v1/models", json=ADD)).status_code == 202
            await log.until("narrow", "unloaded")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"source": "somebody/narrow"}, 403, "accept_licence"),
        ({"source": "somebody/else", "accept_licence": True}, 404, "no repository"),
        ({"source": "/etc", "accept_licence": True}, 400, "audioldm-server model add"),
        ({"source": "somebody/narrow", "clap": "/etc/passwd"}, 400, "names files"),
        ({"source": "somebody/narrow", "tokenizer": "x"}, 400, "names files"),
        ({"source": "audioldm-s-text-ft"}, 404, "zenodo"),
    ],
)
def test_what_cannot_be_added_is_refused(
    request_: dict[str, object], status: int, words: str, tiny_folder: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(tiny_folder, tmp_path) as (http, _, _log):
            refused = await http.post("/v1/models", json=request_)
            assert refused.status_code == status, refused.text
            assert words in refused.json()["error"]["message"]

    asyncio.run(scenario())


def test_an_ordinary_client_adds_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        tokens = TokenFile(tmp_path / "tokens.json")
        token = tokens.add(Caller(name="laptop", sees_all=False))
        gate = Gate(TokenFile(tmp_path / "tokens.json"))
        async with served(tiny_folder, tmp_path, gate) as (http, _, _log):
            headers = {"Authorization": f"Bearer {token}"}
            refused = await http.post("/v1/models", json=ADD, headers=headers)
            assert refused.status_code == 403

    asyncio.run(scenario())
