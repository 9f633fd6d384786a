"""Sounds of the library in requests: what their names stand for, and who may use them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from indexed_library import indexed, library_in, until
from memory_engine import MemoryEngine
from sample_folder import noise, tone

from server.config import built_in_model
from server.errors import Forbidden, InvalidRequest, NotFound
from server.http.access import LOCAL, Caller
from server.http.app import alone
from server.http.routes.library import LibraryRoutes
from server.http.views import Views
from server.jobs.uploads import Uploads
from server.model.manifest import Manifest
from server.render.pipeline import Pipeline
from server.requests.request import Fill, TextToAudio, Transfer, parse_request
from server.sample_library.library import SampleLibrary
from server.sample_library.named_sounds import with_named_sounds
from server.sample_library.query import SampleSearch

pytestmark = pytest.mark.integration
Scenario = Callable[[SampleLibrary], Awaitable[None]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hisses and beeps in folders of their own, indexed once."""
    folder = tmp_path_factory.mktemp("named")
    for number in range(3):
        noise(folder / "sounds" / "hisses" / f"{number}.wav", number)
    for number in range(2):
        tone(folder / "sounds" / "beeps" / f"{number}.wav", 440.0 * (1 + number))

    async def fill() -> None:
        async with library_in(folder / "index") as library:
            await library.add(folder / "sounds")
            await until(library, indexed)

    asyncio.run(fill())
    return folder


def run(folder: Path, scenario: Scenario) -> None:
    async def within() -> None:
        async with library_in(folder / "index") as library:
            await scenario(library)

    asyncio.run(within())


def text(**values: Any) -> TextToAudio:
    return TextToAudio(grounding=0.4, grounding_sound="library:nearest", **values)


def test_the_nearest_sounds_are_drawn_by_the_seed(folder: Path) -> None:
    async def scenario(library: SampleLibrary) -> None:
        async def drawn(request: TextToAudio) -> str:
            named = await with_named_sounds(request, library)
            assert isinstance(named, TextToAudio)
            return named.grounding_sound

        rain = text(prompt="heavy rain")
        first = await drawn(rain)
        assert first == await drawn(rain)
        assert Path(first).parent.name == "hisses"
        seeded = [await drawn(text(prompt="heavy rain", seed=seed)) for seed in range(12)]
        assert len({*seeded}) > 1
        assert seeded[3] == await drawn(text(prompt="heavy rain", seed=3))
        beeps = folder / "sounds" / "beeps"
        like = await drawn(text(audio_prompt=f"library:{beeps}"))
        assert Path(like).parent == beeps

    run(folder, scenario)


def test_takes_sound_like_a_folder(folder: Path) -> None:
    async def scenario(library: SampleLibrary) -> None:
        pipeline = Pipeline(built_in_model(), "cpu", 1)
        sounds = folder / "sounds"
        means = {name: (await library.centre_of(sounds / name))[1] for name in ("hisses", "beeps")}
        for name, mean in means.items():
            asked = TextToAudio(
                audio_prompt=f"library:{sounds / name}", seed=1, audio_length_in_s=1.0
            )
            request = await with_named_sounds(asked, library)
            assert request.audio_prompt == ""
            assert request.audio_embedding is not None
            assert request.audio_embedding["of"] == name
            heard = pipeline.render(request)[0].embedding
            assert heard is not None
            (other,) = (means[one] for one in means if one != name)
            assert float(heard @ mean) > float(heard @ other) + 0.2
            assert np.linalg.norm(mean) > 0.5

    run(folder, scenario)


def test_names_that_stand_for_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    async def scenario(library: SampleLibrary) -> None:
        for request, error, why in (
            (text(prompt=""), InvalidRequest, "needs a prompt"),
            (Transfer(clip="library:99"), NotFound, "99"),
            (Transfer(clip=f"library:{folder}"), InvalidRequest, "library:ID or library:nearest"),
            (TextToAudio(audio_prompt=f"library:{tmp_path}"), NotFound, "add the folder first"),
        ):
            with pytest.raises(error, match=why):
                await with_named_sounds(request, library)
        with pytest.raises(InvalidRequest, match="no sample library"):
            await with_named_sounds(Transfer(clip="library:0"), None)

    run(folder, scenario)


def test_over_http_only_clients_that_see_everything_name_sounds(
    folder: Path, tmp_path: Path
) -> None:
    async def scenario(library: SampleLibrary) -> None:
        engine = MemoryEngine(Manifest.load(built_in_model()), tmp_path)
        views = Views(engine, Uploads(tmp_path / "uploads", 1000), library)
        (sample, _), *_ = await library.search(SampleSearch(limit=1))
        request = Fill(clip=f"library:{sample.row}", other="library:nearest", prompt="rain")
        filled = await views.with_files(request, LOCAL)
        assert isinstance(filled, Fill)
        assert filled.clip == str(sample.path)
        assert Path(filled.other).parent.name == "hisses"
        with pytest.raises(Forbidden):
            await views.with_files(request, Caller(name="guest"))
        transport = httpx.ASGITransport(alone(LibraryRoutes(library).operations))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            asked = {"kind": "transfer", "clip": f"library:{sample.row}"}
            answer = await http.post("/v1/library/named", json=asked)
            assert parse_request(answer.json()) == Transfer(clip=str(sample.path))

    run(folder, scenario)
