"""The names of takes: the words and the seed that made them, in every script."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote

import pytest
from server_run import QUICK, running_server

pytestmark = pytest.mark.integration


def test_a_name_tells_the_prompt_and_the_seed_of_the_take(
    tiny_folder: Path, tmp_path: Path
) -> None:
    several = {**QUICK, "prompt": "太鼓 Glöckchen", "num_candidates": 4, "seed": 30}

    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            (take,) = (await server.done({**QUICK, "prompt": "hum A4"}))["takes"]
            assert "A4" in take["warnings"][0]
            job = await server.done({**several, "num_waveforms_per_prompt": 4})
            seeds = set()
            for take in job["takes"]:
                words, seed, rest = Path(take["path"]).stem.split("_")
                assert (words, int(seed)) == ("太鼓-glöckchen", take["seed"])
                assert rest == f"{job['id']}-{take['number']}"
                seeds.add(take["seed"])
            assert len(seeds) == 4
            url = job["takes"][0]["url"]
            for query in ({"download": "1"}, {"download": "1", "format": "flac"}):
                answer = await server.http.get(url, params=query)
                assert answer.status_code == 200
                name = unquote(answer.headers["content-disposition"])
                assert "太鼓-glöckchen_" in name

    asyncio.run(scenario())
