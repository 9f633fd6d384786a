"""Who may speak to the HTTP interface, over a real socket."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
from server_run import ENDLESS, QUICK, error_of, running_server, wav
from websockets.asyncio.client import connect

from server.audio.waveform import Waveform
from server.http.access import Caller, Gate, TokenFile
from server.render.recipe import Recipe

pytestmark = pytest.mark.integration


def test_no_page_of_another_site_comes_in(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            foreign = {"Origin": "https://evil.example"}
            assert error_of(await server.http.get("/v1/jobs", headers=foreign), 403)
            assert error_of(await server.http.post("/v1/jobs", json=QUICK, headers=foreign), 403)
            rebound = {"Host": "evil.example"}
            assert error_of(await server.http.get("/v1/jobs", headers=rebound), 403)
            own = await server.http.get("/v1/jobs", headers={"Origin": server.url})
            assert own.status_code == 200
            assert "access-control-allow-origin" not in own.headers
            assert own.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'self'" in own.headers["content-security-policy"]
            url = server.url.replace("http", "ws") + "/v1/events"
            with pytest.raises(Exception, match="403"):
                async with connect(url, additional_headers=foreign):
                    pass

    asyncio.run(scenario())


def test_on_the_network_a_token_is_needed_and_clients_see_their_own(
    tiny_folder: Path, tmp_path: Path
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann = tokens.add(Caller(name="ann", max_queued=1))
    bob = tokens.add(Caller(name="bob", per_minute=5))
    assert ann not in (tmp_path / "tokens.json").read_text()
    assert (tmp_path / "tokens.json").stat().st_mode & 0o77 == 0
    gate = Gate(TokenFile(tmp_path / "tokens.json"))

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path, gate=gate, token=ann) as server:
            job = await server.submit(ENDLESS)
            full = await server.http.post("/v1/jobs", json=QUICK)
            assert "1 jobs of yours" in error_of(full, 429)["message"]
            async with httpx.AsyncClient(base_url=server.url) as other:
                no_token = await other.get("/v1/jobs")
                assert error_of(no_token, 401)["code"] == "unauthorized"
                assert no_token.headers["www-authenticate"] == "Bearer"
                assert (await other.get("/health")).status_code == 200
                assert (await other.get("/panel/")).status_code == 200
                wrong = {"Authorization": f"Bearer {ann[:-1]}"}
                assert error_of(await other.get("/v1/jobs", headers=wrong), 401)
                bobs = {"Authorization": f"Bearer {bob}"}
                assert (await other.get("/v1/jobs", headers=bobs)).json() == []
                url = f"/v1/jobs/{job['id']}"
                assert error_of(await other.get(url, headers=bobs), 404)
                assert error_of(await other.delete(url, headers=bobs), 404)
                await other.get("/v1/jobs", headers=bobs)
                limited = [await other.get("/v1/jobs", headers=bobs) for _ in range(3)]
                assert error_of(limited[-1], 429)["code"] == "rate_limited"
                signed = await other.post("/v1/session", json={"token": ann})
                assert signed.status_code == 204
                assert "HttpOnly" in signed.headers["set-cookie"]
                mine = (await other.get("/v1/jobs")).json()
                assert [j["id"] for j in mine] == [job["id"]]
                assert mine[0]["takes"] == []

    asyncio.run(scenario())


def test_a_clip_is_there_for_those_who_have_sent_it(tiny_folder: Path, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann, bob, head = (
        tokens.add(Caller(name=name, sees_all=name == "head")) for name in ("ann", "bob", "head")
    )
    clip = wav()
    digest = hashlib.sha256(clip).hexdigest()
    url = f"/v1/uploads/{digest}"
    transfer = {"kind": "transfer", "prompt": "high", "clip": f"upload:{digest}"}

    async def scenario() -> None:
        gate = Gate(tokens)
        async with running_server(tiny_folder, tmp_path, gate=gate, token=ann) as server:
            assert (await server.http.post("/v1/uploads", content=clip)).status_code == 201
            heads = {"Authorization": f"Bearer {head}"}
            assert (await server.http.get(f"{url}/audio", headers=heads)).content == clip
            async with httpx.AsyncClient(
                base_url=server.url, headers={"Authorization": f"Bearer {bob}"}
            ) as other:
                for path in (url, f"{url}/audio"):
                    assert error_of(await other.get(path), 404)
                assert (await other.head(url)).status_code == 404
                assert error_of(await other.post("/v1/jobs", json=transfer), 404)
                sent = {"Content-Range": f"bytes 0-{len(clip) - 1}/{len(clip)}"}
                shown = await other.put(url, content=clip, headers=sent)
                assert (shown.status_code, "owners" in shown.json()) == (201, False)
                assert (await other.get(f"{url}/audio")).content == clip
                assert (await other.post("/v1/jobs", json=transfer)).status_code == 202
            assert (await server.http.get(url)).json() == shown.json()

    asyncio.run(scenario())


def test_a_recipe_reaches_no_clip_of_another(tiny_folder: Path, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann, bob = (tokens.add(Caller(name=name)) for name in ("ann", "bob"))
    clip = wav()
    digest = hashlib.sha256(clip).hexdigest()
    transfer = {"kind": "transfer", "prompt": "high", "num_inference_steps": 2, "seed": 1}

    async def scenario() -> None:
        gate = Gate(tokens)
        async with running_server(tiny_folder, tmp_path, gate=gate, token=ann) as server:
            await server.http.post("/v1/uploads", content=clip)
            job = await server.done({**transfer, "clip": f"upload:{digest}"})
            take = (await server.http.get(job["takes"][0]["url"])).content
            mine = {"kind": "vary", "clip": f"take:{job['id']}/1", "seed": 2}
            assert (await server.http.post("/v1/jobs", json=mine)).status_code == 202
            found = Recipe.read(take)
            recipe = msgspec.to_builtins(found)
            (path,) = found.clips
            assert Path(path).parent == server.uploads.folder
            around = f"{server.uploads.folder}/../uploads/{Path(path).name}"
            detour = {**recipe, "clips": {around: digest}}
            detour["request"] = {**recipe["request"], "clip": around}
            nested = msgspec.to_builtins(found)
            nested["request"] = {"kind": "vary", "clip": "x", "recipe": recipe}
            async with httpx.AsyncClient(
                base_url=server.url, headers={"Authorization": f"Bearer {bob}"}, timeout=60
            ) as other:
                for values in (recipe, detour, nested):
                    asked = {"kind": "vary", "clip": "x", "recipe": values, "seed": 2}
                    sound = Waveform.mono(np.ones(800, np.float32), 16000)
                    text = msgspec.json.encode(values).decode()
                    sent = await other.post("/v1/uploads", content=sound.encode("wav16", text))
                    asked["clip"] = f"upload:{sent.json()['id']}"
                    assert error_of(await other.post("/v1/jobs", json=asked), 404)
                    del asked["recipe"]
                    assert error_of(await other.post("/v1/jobs", json=asked), 404)
                await other.post("/v1/uploads", content=clip)  # who has it may use it
                assert (await other.post("/v1/jobs", json=asked)).status_code == 202

    asyncio.run(scenario())
