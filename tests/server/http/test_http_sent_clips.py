"""Clips that clients send, over a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import httpx
import pytest
from server_run import error_of, running_server, wav

from server.jobs.job import JobState

pytestmark = pytest.mark.integration


def test_a_clip_is_sent_and_used(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            clip = wav()
            sent = await server.http.post("/v1/uploads", content=clip)
            assert sent.status_code == 201
            upload = sent.json()
            assert upload["id"] == hashlib.sha256(clip).hexdigest()
            assert (upload["seconds"], upload["channels"], upload["format"]) == (0.5, 1, "WAV")
            again = await server.http.post("/v1/uploads", content=clip)
            assert again.json() == upload
            assert (await server.http.get(f"/v1/uploads/{upload['id']}")).json() == upload
            name = f"upload:{upload['id']}"
            transfer = {"kind": "transfer", "prompt": "high hiss", "clip": name, "seed": 1}
            job = await server.done({**transfer, "num_inference_steps": 3})
            assert job["state"] == "done", job["error"]
            assert job["request"]["clip"] == name
            of_take = {**transfer, "clip": f"take:{job['id']}/1", "num_inference_steps": 2}
            assert (await server.done(of_take))["state"] == "done"
            assert str(tmp_path) not in json.dumps(job["request"])

    asyncio.run(scenario())


def test_a_clip_comes_with_the_request_as_a_form(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            request = {"kind": "transfer", "prompt": "high", "num_inference_steps": 2}
            form = {
                "request": (None, json.dumps(request), "application/json"),
                "clip": ("../../etc/passwd", wav(), "audio/wav"),
            }
            sent = await server.http.post("/v1/jobs", files=form)
            assert sent.status_code == 202, sent.text
            job = await server.log.final(sent.json()["id"])
            assert job.state is JobState.DONE, job.error
            big = {**form, "clip": ("a.wav", b"x" * 2**23, "audio/wav")}
            assert error_of(await server.http.post("/v1/jobs", files=big), 413)
            wordy = json.dumps({**request, "prompt": "x" * 2**18})
            long = {**form, "request": (None, wordy, "application/json")}
            assert error_of(await server.http.post("/v1/jobs", files=long), 413)
            broken = {**form, "clip": ("a.wav", b"RIFF but no", "audio/wav")}
            assert error_of(await server.http.post("/v1/jobs", files=broken), 415)
            assert error_of(await server.http.post("/v1/jobs", files={"clip": form["clip"]}), 400)
            whole = httpx.Request("POST", server.url, files=form)
            half = whole.read()[:-200]
            headers = {"Content-Type": whole.headers["content-type"]}
            cut = await server.http.post("/v1/jobs", content=half, headers=headers)
            assert "ends in the middle" in error_of(cut, 400)["message"]
            assert list(server.uploads.folder.glob(".*")) == []

    asyncio.run(scenario())


def test_a_broken_transfer_goes_on_where_it_stopped(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            clip = wav()
            url = f"/v1/uploads/{hashlib.sha256(clip).hexdigest()}"

            async def send(first: int, last: int) -> httpx.Response:
                headers = {"Content-Range": f"bytes {first}-{last - 1}/{len(clip)}"}
                return await server.http.put(url, content=clip[first:last], headers=headers)

            half = await send(0, 5000)
            assert (half.status_code, half.headers["upload-offset"]) == (202, "5000")
            there = await server.http.head(url)
            assert (there.status_code, there.headers["upload-offset"]) == (202, "5000")
            assert "byte 5000" in error_of(await send(0, 5000), 409)["message"]
            assert (await send(5000, len(clip))).status_code == 201
            assert (await server.http.head(url)).status_code == 200
            wrong = f"/v1/uploads/{'0' * 64}"
            headers = {"Content-Range": f"bytes 0-{len(clip) - 1}/{len(clip)}"}
            refused = await server.http.put(wrong, content=clip, headers=headers)
            assert "checksum" in error_of(refused, 400)["message"]

    asyncio.run(scenario())


def test_clients_name_no_files(tiny_folder: Path, tmp_path: Path) -> None:
    names = ("/etc/passwd", "../takes/x.wav", "upload:../../x", "take:x/1", "take:")

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            for clip in (*names, "upload:" + "0" * 64):
                request = {"kind": "transfer", "prompt": "high", "clip": clip}
                response = await server.http.post("/v1/jobs", json=request)
                error = error_of(response, response.status_code)
                assert error["code"] in ("forbidden", "not_found")

    asyncio.run(scenario())


def test_what_is_no_sound_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    liar = bytearray(wav())
    liar[40:44] = (2**32 - 1).to_bytes(4, "little")

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            for content in (b"", b"MZ" * 1000, b"RIFF\xff\xff\xff\xffWAVE", wav(0.0)):
                error = error_of(await server.http.post("/v1/uploads", content=content), 415)
                assert str(tmp_path) not in error["message"]
            lying = await server.http.post("/v1/uploads", content=bytes(liar))
            assert lying.status_code in (201, 415)
            if lying.status_code == 201:
                assert lying.json()["seconds"] == pytest.approx(0.5, abs=0.01)
            assert error_of(await server.http.post("/v1/uploads", content=b"x" * 2**23), 413)

    asyncio.run(scenario())
