"""The HTTP interface, spoken to over a real socket."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from server_run import ENDLESS, QUICK, Running, error_of, running_server
from websockets.asyncio.client import connect

from server.audio.clip import Clip
from server.jobs.job import JobState
from server.render.recipe import Recipe

pytestmark = pytest.mark.integration


def test_a_prompt_becomes_a_take(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            accepted = await server.http.post("/v1/jobs", json=QUICK)
            assert accepted.status_code == 202
            job = accepted.json()
            assert accepted.headers["location"] == f"/v1/jobs/{job['id']}"
            assert job["request"]["prompt"] == "low hum"
            assert job["state"] in ("queued", "running")
            await server.log.final(job["id"])
            done = (await server.http.get(f"/v1/jobs/{job['id']}")).json()
            assert (done["state"], done["error"]) == ("done", None)
            (take,) = done["takes"]
            assert (take["seconds"], take["seed"]) == (0.5, 7)
            sound = await server.http.get(take["url"])
            assert sound.headers["content-type"] == "audio/wav"
            assert sound.content == Path(take["path"]).read_bytes()

    asyncio.run(scenario())


def test_a_take_that_a_format_would_clip_is_refused_with_the_way_out(
    tiny_folder: Path, tmp_path: Path
) -> None:
    loud = io.BytesIO()
    soundfile.write(loud, 2.5 * np.sin(np.arange(16000) * 0.1), 16000, "FLOAT", format="WAV")

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            sent = await server.http.post("/v1/uploads", content=loud.getvalue())
            edit = {"kind": "inpaint", "clip": f"upload:{sent.json()['id']}", "seed": 1}
            edit |= {"regions": "0.3:0.5", "num_inference_steps": 2}
            (kept,) = (await server.done(edit))["takes"]
            assert kept["measures"]["attenuated_db"] == 0.0
            assert kept["measures"]["peak_dbfs"] == pytest.approx(7.96, abs=0.01)
            assert kept["warnings"] == []
            for file_format in ("flac", "wav24", "wav16", "wav8"):
                answer = await server.http.get(kept["url"], params={"format": file_format})
                refusal = error_of(answer, 400)["message"]
                assert "+7.96 dBFS" in refusal
                assert "wav32f" in refusal
            same = await server.http.get(kept["url"], params={"format": "wav64f"})
            assert np.abs(soundfile.read(io.BytesIO(same.content))[0]).max() > 2.4
            asked = edit | {"delivery": {"file_format": "flac"}}
            (turned_down,) = (await server.done(asked))["takes"]
            assert turned_down["measures"]["attenuated_db"] == pytest.approx(8.96, abs=0.01)
            assert "turned down" in turned_down["warnings"][0]
            (stored, _) = (await server.http.get("/v1/takes")).json()
            assert stored["take"]["warnings"] == turned_down["warnings"]

    asyncio.run(scenario())


def test_a_converted_take_keeps_what_its_file_holds(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            loop = QUICK | {"loop": True, "bpm": 120, "audio_length_in_s": 1.0}
            url = (await server.done(loop))["takes"][0]["url"]
            for file_format in ("flac", "wav16"):
                file = (await server.http.get(url, params={"format": file_format})).content
                held = Clip.read(file).metadata
                assert {chunk.id for chunk in held.chunks} >= {b"smpl", b"acid"}
                assert Recipe.read(file).request.seed == 7

    asyncio.run(scenario())


def test_takes_are_served_in_parts_and_in_other_formats(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            url = (await server.done(QUICK))["takes"][0]["url"]
            whole = (await server.http.get(url)).content
            part = await server.http.get(url, headers={"Range": "bytes=100-199"})
            assert (part.status_code, part.content) == (206, whole[100:200])
            beyond = await server.http.get(url, headers={"Range": f"bytes={len(whole)}-"})
            assert error_of(beyond, 416)["code"] == "range_not_satisfiable"
            assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
            last = await server.http.get(url, headers={"Range": "bytes=0-0, -10"})
            assert last.status_code == 206
            for none in ("bytes=", "bytes=a-b", "bytes=9-1", "bytes= , -"):
                answer = await server.http.get(url, headers={"Range": none})
                assert none in error_of(answer, 400)["message"]
            for unknown in ("seconds=0-1", "0-1", "bytes"):
                answer = await server.http.get(url, headers={"Range": unknown})
                assert (answer.status_code, answer.content) == (200, whole)
            flac = await server.http.get(url, params={"format": "flac", "download": "true"})
            assert flac.headers["content-disposition"].endswith('.flac"')
            first, rate = soundfile.read(io.BytesIO(flac.content))
            again, _ = soundfile.read(io.BytesIO(whole))
            assert rate == 48000
            assert (first == again).all()
            assert error_of(await server.http.get(url, params={"format": "mp3"}), 400)
            job = url.split("/")[3]
            for missing in (f"/v1/jobs/{job}/takes/2", f"/v1/jobs/{job}/takes/0"):
                assert error_of(await server.http.get(missing), 404)["code"] == "not_found"

    asyncio.run(scenario())


def test_the_same_key_makes_one_job(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            key = {"Idempotency-Key": "k1"}
            answers = await asyncio.gather(
                *(server.http.post("/v1/jobs", json=QUICK, headers=key) for _ in range(5))
            )
            assert len({a.json()["id"] for a in answers}) == 1
            other = await server.http.post("/v1/jobs", json={**QUICK, "seed": 8}, headers=key)
            assert error_of(other, 409)["code"] == "conflict"

    asyncio.run(scenario())


BAD_BODIES = {
    b"": "body",
    b"[]": "body",
    b"{": "body",
    b'{"kind": "text"}': "prompt",
    b'{"kind": "nothing", "prompt": "a"}': "kind",
    b'{"kind": ["text"], "prompt": "a"}': "kind",
    b'{"kind": "text", "prompt": "a", "seed": -1}': "seed",
    b'{"kind": "text", "prompt": "a", "colour": 1}': "colour",
}


def test_bad_requests_say_what_is_wrong(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            for content, word in BAD_BODIES.items():
                error = error_of(await server.http.post("/v1/jobs", content=content), 400)
                assert error["code"] == "bad_request"
                assert word in error["message"]
            assert server.engine.jobs() == []

    asyncio.run(scenario())


def test_unknown_things_and_methods(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            for path in ("/v1/jobs/nope", "/nope", "/v1/jobs/nope/events", "/v1/presets/nope"):
                assert error_of(await server.http.get(path), 404)["code"] == "not_found"
            assert error_of(await server.http.delete("/features"), 405)
            assert error_of(await server.http.get("/v1/jobs?limit=0"), 400)
            assert error_of(await server.http.post("/v1/jobs", content=b"x" * 10**6), 413)

    asyncio.run(scenario())


def test_a_running_job_is_cancelled(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            job = await server.submit(ENDLESS)
            await server.log.step(job["id"], 2)
            listed = (await server.http.get("/v1/jobs?state=running")).json()
            assert [j["id"] for j in listed] == [job["id"]]
            await server.http.delete(f"/v1/jobs/{job['id']}")
            assert (await server.log.final(job["id"])).state is JobState.CANCELLED

    asyncio.run(scenario())


async def sse(server: Running, url: str) -> list[dict[str, Any]]:
    """All events of a stream that ends."""
    events = []
    async with server.http.stream("GET", url) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
    return events


def test_events_of_a_job_as_a_stream(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            job = await server.submit({**QUICK, "num_inference_steps": 200})
            events = await sse(server, f"/v1/jobs/{job['id']}/events")
            kinds = list(dict.fromkeys(e["event"] for e in events))
            assert kinds[-3:] == ["running", "progress", "done"] or kinds[-2:] == [
                "progress",
                "done",
            ]
            steps = [e["job"]["step"] for e in events]
            assert steps == sorted(steps)
            assert len(events[-1]["job"]["takes"]) == 1
            late = await sse(server, f"/v1/jobs/{job['id']}/events")
            assert [e["event"] for e in late] == ["done"]

    asyncio.run(scenario())


def test_events_of_all_jobs_over_a_websocket(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            before = await server.submit(ENDLESS)
            url = server.url.replace("http", "ws") + "/v1/events"
            async with connect(url) as websocket:
                first = json.loads(await websocket.recv())
                assert first["job"]["id"] == before["id"]
                job = await server.submit(QUICK)
                await server.http.delete(f"/v1/jobs/{before['id']}")
                seen: list[str] = []
                while not seen or seen[-1] != "done":
                    event = json.loads(await websocket.recv())
                    if event["job"]["id"] == job["id"]:
                        seen.append(event["event"])
                assert seen[0] == "queued"
                assert "running" in seen

    asyncio.run(scenario())


def test_the_library_finds_marks_and_deletes(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            low = await server.done(QUICK)
            high = await server.done({**QUICK, "prompt": "high 100%_hiss"})

            async def found(**search: str) -> list[str]:
                answer = await server.http.get("/v1/takes", params=search)
                return [take["job_id"] for take in answer.json()]

            assert await found() == [high["id"], low["id"]]
            assert await found(query="hum LOW") == [low["id"]]
            assert await found(query="100%_") == [high["id"]]
            assert await found(query="rain") == []
            one = f"/v1/takes/{low['id']}/1"
            marked = await server.http.patch(one, json={"tags": ["bass", "bass"], "kept": True})
            assert (marked.json()["tags"], marked.json()["kept"]) == (["bass"], True)
            assert await found(tag="bass") == [low["id"]]
            assert await found(kept="false") == [high["id"]]
            assert error_of(await server.http.patch(one, json={"tags": ["a b"]}), 400)
            place = {"name": "Sub drop", "folder": "bass/low"}
            assert (await server.http.patch(one, json=place)).json()["folder"] == "bass/low"
            assert (await server.http.get(one)).json()["name"] == "Sub drop"
            assert await found(query="sub hum") == await found(folder="bass") == [low["id"]]
            assert await found(folder="bas") == []
            folders = (await server.http.get("/v1/takes/folders")).json()
            assert folders == [{"folder": "bass/low", "takes": 1}]
            for odd in ({"folder": "/bass"}, {"folder": "a//b"}, {"name": "a\nb"}):
                assert error_of(await server.http.patch(one, json=odd), 400)
            facts = (await server.http.get(f"{one}/facts")).json()
            assert facts.keys() == {"bpm", "note", "key", "lufs", "character"}
            path = Path(high["takes"][0]["path"])
            assert (await server.http.delete(f"/v1/takes/{high['id']}/1")).status_code == 204
            assert not path.exists()
            assert await found() == [low["id"]]
            assert error_of(await server.http.get(high["takes"][0]["url"]), 404)

    asyncio.run(scenario())


def test_the_server_describes_itself(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            assert (await server.http.get("/health")).json()["status"] == "ok"
            assert (await server.http.get("/ready")).json()["state"] == "ready"
            features = (await server.http.get("/features")).json()
            text = next(k for k in features["kinds"] if k["kind"] == "text")
            steps = next(f for f in text["fields"] if f["name"] == "num_inference_steps")
            assert (steps["low"], steps["high"]) == (1, 1000)
            assert all("bandwidth" in {f["name"] for f in k["fields"]} for k in features["kinds"])
            assert features["model"]["name"].startswith("tiny")
            await server.done(QUICK)
            metrics = (await server.http.get("/metrics")).text
            assert 'audioldm_jobs_total{state="done"} 1.0' in metrics
            assert 'route="/v1/jobs"' in metrics
            document = (await server.http.get("/openapi.json")).json()
            submit = document["paths"]["/v1/jobs"]["post"]
            assert {"202", "400", "409", "429", "507"} <= set(submit["responses"])
            assert "TextToAudio" in document["components"]["schemas"]

    asyncio.run(scenario())


def test_a_full_queue_says_when_to_come_back(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path, max_queued=1) as server:
            first = await server.submit(ENDLESS)
            await server.log.step(first["id"])
            await server.submit(QUICK)
            full = await server.http.post("/v1/jobs", json={**QUICK, "seed": 9})
            assert error_of(full, 429)["code"] == "queue_full"
            assert int(full.headers["retry-after"]) > 0

    asyncio.run(scenario())
