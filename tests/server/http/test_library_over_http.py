"""The sample library over HTTP: folders, search, map, and sounds as browsers play them."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import httpx
import pytest
import soundfile
from indexed_library import indexed, library_in, until
from sample_folder import RATE, noise, tone

from server.http.access import Caller
from server.http.app import alone
from server.http.routes.library import LibraryRoutes

pytestmark = pytest.mark.integration


def test_a_library_over_http(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    noise(sounds / "hiss.aiff", seconds=1.0)
    tone(sounds / "beep.wav", 440.0)

    async def scenario() -> None:
        async with library_in(tmp_path / "state") as library:
            app = alone(LibraryRoutes(library).operations)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                folder = {"path": str(sounds)}
                assert (await http.post("/v1/library/folders", json=folder)).status_code == 202
                cut = {"path": f"{sounds}\0"}
                assert (await http.post("/v1/library/folders", json=cut)).status_code == 400
                await until(library, indexed)
                found = (await http.get("/v1/library", params={"query": "heavy rain"})).json()
                assert [sound["name"] for sound in found] == ["hiss.aiff", "beep.wav"]
                assert len(found[0]["peaks"]) == 128  # 96 bytes as base64
                await check_sound(http, found[0]["id"], sounds / "hiss.aiff")
                map_ = (await http.get("/v1/library/map")).json()
                assert sorted(map_["ids"]) == sorted(sound["id"] for sound in found)
                assert all(0 <= place <= 4095 for axis in "xy" for place in map_[axis])
                facts = await http.get(f"/v1/library/sounds/{found[1]['id']}/facts")
                assert facts.json()["note"] == "A4"
                missing = await http.get("/v1/library/sounds/99/facts")
                assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
                (sounds / "beep.wav").unlink()
                gone = await http.get(f"/v1/library/sounds/{found[1]['id']}")
                assert gone.status_code == 404

    asyncio.run(scenario())


async def check_sound(http: httpx.AsyncClient, number: int, path: Path) -> None:
    """AIFF is played as WAV, and downloaded as it is."""
    url = f"/v1/library/sounds/{number}"
    played = await http.get(url)
    assert played.headers["content-type"] == "audio/wav"
    samples, rate = soundfile.read(io.BytesIO(played.content))
    assert (len(samples), rate) == (RATE, RATE)
    saved = await http.get(url, params={"download": "true"})
    assert saved.content == path.read_bytes()
    assert "hiss.aiff" in saved.headers["content-disposition"]


def test_an_ordinary_client_may_not_use_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with library_in(tmp_path / "state") as library:
            app = alone(LibraryRoutes(library).operations, Caller(name="guest"))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                for path in ("", "/state", "/map", "/sounds/0", "/sounds/0/facts"):
                    answer = await http.get(f"/v1/library{path}")
                    assert (answer.status_code, answer.json()["error"]["code"]) == (
                        403,
                        "forbidden",
                    )

    asyncio.run(scenario())
