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


def test_a_quota_holds_for_requests_that_arrive_together(tiny_folder: Path, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann = tokens.add(Caller(name="ann", max_queued=8))

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path, gate=Gate(tokens), token=ann) as server:
            posts = (server.http.post("/v1/jobs", json=ENDLESS) for _ in range(60))
            statuses = [answer.status_code for answer in await asyncio.gather(*posts)]
            assert sorted(statuses) == [202] * 8 + [429] * 52
            assert len(server.engine.jobs()) == 8
            refused = {**QUICK, "sampler": "none"}
            assert (await server.http.post("/v1/jobs", json=refused)).status_code in (400, 429)
            for job in server.engine.jobs():
                await server.engine.cancel(job.id)
            for _ in range(8):  # a refused request gives its place back
                answer = await server.http.post("/v1/jobs", json={**QUICK, "model": "none"})
                assert answer.status_code == 404, answer.text
            assert (await server.http.post("/v1/jobs", json=QUICK)).status_code == 202

    asyncio.run(scenario())


def test_the_labels_of_metrics_are_from_closed_lists(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            for number in range(50):
                await server.http.request(f"INVENTED{number}", f"/nothing/{number}")
                await server.http.request(f"INVENTED{number}", "/health")
                await server.http.get(f"/v1/takes/{number}/x")
            text = (await server.http.get("/metrics")).text
            assert "INVENTED" not in text
            assert 'method="other"' in text
            assert len(text) < 50_000

    asyncio.run(scenario())


def test_the_limits_of_the_port_are_told(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            told = (await server.http.get("/features")).json()["port"]
            assert 1 < told["connections"] <= 256
            assert told["connections_per_address"] == told["streams"] == 64
            assert told["streams_per_client"] == 16
            assert (told["head_s"], told["stall_s"], told["idle_s"]) == (10, 30, 30)
            assert (told["head_bytes"], told["json_bytes"]) == (16 * 1024, 256 * 1024)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_who_hangs_up_in_the_middle_leaves_no_traceback(
    tiny_folder: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            port = httpx.URL(server.url).port
            for length in (b"Content-Length: 99\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
                writer.write(head.encode() + length + b"1\r\n{\r\n")
                await asyncio.sleep(0.2)
                writer.transport.abort()
            await asyncio.sleep(0.3)
            assert (await server.http.get("/health")).status_code == 200

    asyncio.run(scenario())
    assert "Traceback" not in caplog.text
    assert "POST" not in caplog.text


@pytest.mark.parametrize(
    ("headers", "is_secure"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"Host": "studio.example", "Origin": "https://studio.example"}, True),
        ({"Host": "studio.example", "Origin": "http://studio.example"}, False),
    ],
)
def test_behind_tls_the_cookie_stays_there(
    tiny_folder: Path, tmp_path: Path, headers: dict[str, str], is_secure: bool
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    ann = tokens.add(Caller(name="ann"))

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path, gate=Gate(tokens)) as server:
            answer = await server.http.post("/v1/session", json={"token": ann}, headers=headers)
            assert ("Secure" in answer.headers["set-cookie"]) is is_secure

    asyncio.run(scenario())
