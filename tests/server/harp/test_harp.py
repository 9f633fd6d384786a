"""HARP's way in, spoken as HARP 3 speaks it: controls, upload, process, cancel."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine_log import ENDLESS, running_engine
from server_run import running_server, wav
from strangers import EVIL, paths_of, status_of

from server.engine.engine import Engine
from server.errors import InvalidRequest
from server.harp.cards import CARDS, Card, controls, request_of
from server.http.server import serving
from server.jobs.job import JobState
from server.model.manifest import Manifest
from server.remote.remote_engine import RemoteEngine
from server.requests.request import Inpaint, TextToAudio

pytest.importorskip("gradio", reason="needs pip install -e '.[harp]'")

# Gradio counts its requests with what newer pandas are tired of.
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

KINDS = {card.kind: card for card in CARDS}


@pytest.fixture(scope="module")
def manifest(tiny_folder: Path) -> Manifest:
    return Manifest.load(tiny_folder)


def as_harp_sends(card: Card, manifest: Manifest, **changes: Any) -> list[Any]:
    """The controls' own values after HARP's float32, those in ``changes`` set by hand."""
    values: list[Any] = []
    for field, item in zip(card.fields(), controls(card, manifest)["inputs"], strict=True):
        value = changes.pop(field.name, item.get("value"))
        if item["type"] == "slider":
            value = struct.unpack("f", struct.pack("f", value))[0]
        values.append(value)
    assert not changes, f"no such controls: {changes}"
    return values


class Harp:
    """What HARP 3.0 does over HTTP (src/client/GradioClient.cpp)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(timeout=60, trust_env=False)

    async def call(self, name: str, data: list[Any]) -> tuple[str, Any]:
        """The event (complete or error) and its data."""
        url = f"{self.url}/gradio_api/call/{name}"
        asked = await self.http.post(url, json={"data": data})
        assert asked.status_code == 200, asked.text
        async with self.http.stream("GET", f"{url}/{asked.json()['event_id']}") as response:
            event = ""
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif event in ("complete", "error"):
                    return event, json.loads(line.removeprefix("data: "))
        raise AssertionError("the answer ended early")

    async def upload(self, data: bytes) -> dict[str, Any]:
        """A clip, as ``process`` takes it."""
        files = {"files": ("clip.wav", data, "audio/midi")}
        sent = await self.http.post(f"{self.url}/gradio_api/upload", files=files)
        assert sent.status_code == 200, sent.text
        return {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}

    async def download(self, output: dict[str, Any]) -> bytes:
        assert output["meta"] == {"_type": "gradio.FileData"}
        return (await self.http.get(output["url"])).raise_for_status().content

    async def close(self) -> None:
        await self.http.aclose()


@asynccontextmanager
async def harp_at(engine: Engine, takes: Path, kind: str) -> AsyncIterator[Harp]:
    from server.harp.app import serving_harp

    async with serving_harp(engine, takes, 0, [KINDS[kind]]) as port:
        harp = Harp(f"http://127.0.0.1:{port}/{kind}")
        try:
            yield harp
        finally:
            await harp.close()


@pytest.mark.parametrize("card", CARDS, ids=[card.kind for card in CARDS])
def test_controls_are_what_harp_can_show(card: Card, manifest: Manifest) -> None:
    answer = json.loads(json.dumps(controls(card, manifest)))
    assert set(answer) == {"card", "inputs", "outputs"}
    assert set(answer["card"]) == {"name", "description", "author", "tags"}
    needed = {
        "audio_track": {"required"},
        "slider": {"minimum", "maximum", "step", "value"},
        "text_box": {"value"},
        "toggle": {"value"},
        "dropdown": {"choices", "value"},
        "json": set(),
    }
    for item in [*answer["inputs"], *answer["outputs"]]:
        assert needed[item["type"]] | {"type", "label", "info"} == set(item)
        if item["type"] == "slider":
            assert item["minimum"] <= item["value"] <= item["maximum"]
            assert item["step"] > 0
    assert [item["type"] for item in answer["outputs"]] == ["audio_track", "json"]


@pytest.mark.parametrize("card", CARDS, ids=[card.kind for card in CARDS])
def test_sliders_survive_float32_and_stay_in_the_fields_range(
    card: Card, manifest: Manifest
) -> None:
    for field, item in zip(card.fields(), controls(card, manifest)["inputs"], strict=True):
        if item["type"] != "slider":
            continue
        for end in (item["minimum"], item["maximum"]):
            assert field.low is not None
            assert field.high is not None
            assert field.low <= end <= field.high
            assert item["minimum"] <= struct.unpack("f", struct.pack("f", end))[0]
            assert item["maximum"] >= struct.unpack("f", struct.pack("f", end))[0]


def test_values_become_the_request(manifest: Manifest) -> None:
    text = KINDS["text"]
    values = as_harp_sends(text, manifest, prompt="low hum", audio_length_in_s=0.7, seed="7")
    request = request_of(text, values)
    assert isinstance(request, TextToAudio)
    assert (request.prompt, request.audio_length_in_s, request.seed) == ("low hum", 0.7, 7)
    assert (request.num_inference_steps, request.bars, request.loop) == (
        manifest.defaults.num_inference_steps,
        None,
        False,
    )
    values = as_harp_sends(text, manifest, prompt="kick", bars="2", bpm="120", seed="")
    request = request_of(text, values)
    assert isinstance(request, TextToAudio)
    assert (request.length_s(0.0), request.seed) == (4.0, None)
    with pytest.raises(InvalidRequest, match=r"tempo must be a number .* \(got 'fast'\)"):
        request_of(text, as_harp_sends(text, manifest, prompt="x", bpm="fast"))
    with pytest.raises(InvalidRequest, match="clip: put a sound on this track first"):
        request_of(KINDS["upscale"], as_harp_sends(KINDS["upscale"], manifest))


def test_a_session_with_harp(tiny_folder: Path, tmp_path: Path, manifest: Manifest) -> None:
    """Remote: HARP, this app, the server. A take comes back, and the server has it too."""

    async def scenario() -> None:
        takes = tmp_path / "takes"
        async with running_server(tiny_folder, tmp_path / "server") as server:
            engine = RemoteEngine(server.url, takes)
            await engine.start()
            try:
                async with harp_at(engine, takes, "inpaint") as harp:
                    event, data = await harp.call("controls", [])
                    assert (event, data[0]["card"]["name"]) == ("complete", "AudioLDM: Replace")
                    assert data == [json.loads(json.dumps(controls(KINDS["inpaint"], manifest)))]
                    values = as_harp_sends(
                        KINDS["inpaint"],
                        manifest,
                        clip=await harp.upload(wav(0.6)),
                        regions="0.1:0.3",
                        prompt="low hum",
                        num_inference_steps=2,
                        seed="5",
                    )
                    event, data = await harp.call("process", values)
                    assert event == "complete", data
                    (job,) = server.engine.jobs()
                    assert isinstance(job.request, Inpaint)
                    assert job.request.seed == 5
                    assert await harp.download(data[0]) == job.takes[0].path.read_bytes()
                    assert data[1]["meta"] == {"_type": "pyharp.LabelList"}
                    shown = [(mark["label"], mark["t"]) for mark in data[1]["labels"]]
                    assert shown == [("seed 5", 0.0), ("new", 0.1)]
            finally:
                await engine.close()

    asyncio.run(scenario())


def test_errors_are_sentences_and_other_sites_are_kept_out(
    tiny_folder: Path, tmp_path: Path, manifest: Manifest
) -> None:
    async def scenario() -> None:
        takes, card = tmp_path / "takes", KINDS["transfer"]
        async with (
            running_engine(tiny_folder, takes) as (engine, _),
            harp_at(engine, takes, "transfer") as harp,
        ):

            async def error(**changes: Any) -> str:
                event, data = await harp.call("process", as_harp_sends(card, manifest, **changes))
                assert event == "error"
                return str(data["error"])

            clip = await harp.upload(wav(0.4))
            assert "put a sound on this track" in await error(prompt="hiss")
            assert "seed must be a whole number, 0 or more (got 'x')" in await error(
                clip=clip, seed="x"
            )
            broken = await harp.upload(b"RIFF, so to say")
            assert "cannot be read as audio" in await error(clip=broken, prompt="hiss")
            own = tmp_path / "mine.wav"
            own.write_bytes(wav(0.4))
            stolen = {"path": str(own), "meta": {"_type": "gradio.FileData"}}
            assert "not uploaded" in await error(clip=stolen, prompt="hiss")
            for headers in ({"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example"}):
                url = f"{harp.url}/gradio_api/call/controls"
                answer = await harp.http.post(url, json={"data": []}, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
            # The states of jobs that reached the engine: only the broken clip did.
            assert [job.state for job in engine.jobs()] == [JobState.FAILED]

    asyncio.run(scenario())


def test_every_route_keeps_other_sites_out(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def noted(app: Any, *arguments: Any) -> Any:
        seen.append(app)
        return serving(app, *arguments)

    monkeypatch.setattr("server.harp.app.serving", noted)

    async def scenario() -> None:
        async with (
            running_engine(tiny_folder, tmp_path) as (engine, _),
            harp_at(engine, tmp_path, "text") as harp,
        ):
            port = int(harp.url.split(":")[2].split("/")[0])
            asked = {*paths_of(seen[0]._app.routes), ("WS", "/"), ("WS", "/text/queue/join")}
            assert len(asked) > 30
            for method, path in asked:
                for headers in ({"Origin": f"http://{EVIL}"}, {"Host": EVIL}, {"Origin": "null"}):
                    assert await status_of(port, method, path, **headers) == 403, (method, path)

    asyncio.run(scenario())


def test_cancel_stops_the_job(tiny_folder: Path, tmp_path: Path, manifest: Manifest) -> None:
    async def scenario() -> None:
        takes, card = tmp_path / "takes", KINDS["text"]
        async with (
            running_engine(tiny_folder, takes) as (engine, log),
            harp_at(engine, takes, "text") as harp,
        ):
            assert await harp.call("cancel", []) == ("complete", [])
            endless = as_harp_sends(
                card,
                manifest,
                prompt=ENDLESS.prompt,
                num_inference_steps=ENDLESS.num_inference_steps,
                audio_length_in_s=ENDLESS.audio_length_in_s,
                num_waveforms_per_prompt=ENDLESS.num_waveforms_per_prompt,
            )
            processing = asyncio.create_task(harp.call("process", endless))
            await log.until(lambda: any(job.step > 0 for job in engine.jobs()))
            assert await harp.call("cancel", []) == ("complete", [])
            event, data = await processing
            assert (event, data["error"]) == ("error", "cancelled")
            (job,) = engine.jobs()
            assert (await log.final(job.id)).state is JobState.CANCELLED

    asyncio.run(scenario())


def test_gradio_client(tiny_folder: Path, tmp_path: Path, manifest: Manifest) -> None:
    from gradio_client import Client, handle_file

    clip = tmp_path / "clip.wav"
    clip.write_bytes(wav(0.4))

    def session(url: str) -> tuple[Any, Any]:
        client = Client(url, verbose=False, download_files=str(tmp_path / "downloads"))
        try:
            answer = client.predict(api_name="/controls")
            values = as_harp_sends(
                KINDS["upscale"], manifest, clip=handle_file(str(clip)), cutoff_hz="4000"
            )
            return answer, client.predict(*values, api_name="/process")
        finally:
            client.close()

    async def scenario() -> None:
        async with (
            running_engine(tiny_folder, tmp_path / "takes") as (engine, _),
            harp_at(engine, tmp_path / "takes", "upscale") as harp,
        ):
            answer, (path, marks) = await asyncio.to_thread(session, f"{harp.url}/")
            assert answer["card"]["name"] == "AudioLDM: Brighten"
            (job,) = engine.jobs()
            assert Path(path).read_bytes() == job.takes[0].path.read_bytes()
            assert marks["labels"][0]["label"] == f"seed {job.takes[0].seed}"

    asyncio.run(scenario())
