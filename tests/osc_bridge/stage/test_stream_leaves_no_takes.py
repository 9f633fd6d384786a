"""The chunks of a stream are no takes: no library, no list and no notice shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from stage_rig import stage_rig

from server.http.access import LOCAL
from server.http.views import Views
from server.jobs.journal import Journal
from server.jobs.library import Library, TakeSearch
from server.jobs.uploads import Uploads
from server.requests.request import TextToAudio

pytestmark = pytest.mark.integration


@contextmanager
def _journal(folder: Path) -> Iterator[Journal]:
    with closing(Journal(folder / "journal.sqlite3")) as journal:
        journal.load()
        yield journal


def test_chunks_enter_neither_the_library_nor_the_journal(
    tiny_folder: Path, tmp_path: Path
) -> None:
    async def run() -> None:
        with _journal(tmp_path) as journal:
            async with stage_rig(tiny_folder, tmp_path / "takes") as rig:
                rig.engine._book.journal = journal
                await rig.stage.start_stream("rain")
                await rig.until(lambda: rig.stage.stream.status().state == "playing")
                await rig.run(1.0)
                chunks = [job for job in rig.engine.jobs() if job.takes]
                assert chunks
                assert all(job.temporary for job in chunks)
                views = Views(rig.engine, Uploads(tmp_path / "uploads", 1))
                assert views.job(chunks[0], LOCAL).takes == ()
                kept = await rig.engine.submit(TextToAudio(prompt="wind", num_inference_steps=1))
                await rig.engine.ended(kept.id)
                listed = await Library(journal).search(TakeSearch())
                assert [take.prompt for take in listed] == ["wind"]
                rows = await journal.query(lambda c: c.execute("SELECT id FROM jobs").fetchall())
                assert rows == [(kept.id,)]
                await rig.stage.stream.stop(0.0)

    asyncio.run(run())


def test_a_take_whose_file_is_gone_is_not_shown(tiny_folder: Path, tmp_path: Path) -> None:
    async def run() -> None:
        with _journal(tmp_path) as journal:
            async with stage_rig(tiny_folder, tmp_path / "takes") as rig:
                rig.engine._book.journal = journal
                for number in range(6):
                    request = TextToAudio(prompt=f"rain {number}", num_inference_steps=1)
                    job = await rig.engine.submit(request)
                    ended = await rig.engine.ended(job.id)
                    if number % 2:
                        ended.takes[0].path.unlink()
                library = Library(journal)
                first = await library.search(TakeSearch(limit=2))
                rest = await library.search(TakeSearch(limit=2, offset=2))
                assert [take.prompt for take in (*first, *rest)] == ["rain 4", "rain 2", "rain 0"]

    asyncio.run(run())
