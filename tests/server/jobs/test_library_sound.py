"""Takes found by what they sound like, with the model that ships."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import httpx
from fleet_run import running_fleet

from server.config import built_in_model
from server.http.app import HttpApi
from server.http.server import serving
from server.jobs.clap_search import ClapTowers
from server.jobs.journal import Journal
from server.jobs.uploads import Uploads
from server.requests.request import TextToAudio

PROMPTS = ("heavy rain", "a deep kick drum")


def test_rain_is_found_by_its_sound_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    made = 0

    def towers() -> ClapTowers:
        nonlocal made
        made += 1
        return ClapTowers(built_in_model())

    async def scenario() -> None:
        journal = Journal(path)
        async with running_fleet([built_in_model()], tmp_path, journal=journal) as (fleet, log, _):
            api = HttpApi(
                fleet, Uploads(tmp_path / "uploads", 2**20), journal=journal, make_towers=towers
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
                Path(rain["take"]["path"]).unlink()  # it was heard, and is heard no second time
                assert len((await search(params={"like": "rain"})).json()) == 2
                deleted = f"/v1/takes/{rain['job_id']}/1"
                assert (await http.delete(deleted)).status_code == 204
                (left,) = (await search(params={"like": "rain"})).json()
                assert left["prompt"] == PROMPTS[1]
                assert (await search()).json()[0]["similarity"] is None
                rows = await journal.query(lambda c: c.execute("SELECT * FROM heard").fetchall())
                assert len(rows) == 1
                await http.aclose()
                api.close()

    asyncio.run(scenario())
    assert made == 1
