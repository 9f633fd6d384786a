"""The life of a job: accepted once, and written before anybody is notified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from server.errors import Conflict, QueueFull, RenderError, StorageFull
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState
from server.jobs.journal import Journal
from server.jobs.storage import preview_path
from server.jobs.submission import Submission
from server.model.manifest import Manifest
from server.requests.request import TextToAudio

HUM = TextToAudio(prompt="low hum", seed=7, audio_length_in_s=0.5)


class SlowJournal(Journal):
    """Keeps what is written in memory, when the test lets it."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.written: list[tuple[str, str]] = []
        self.full = False
        self.open = asyncio.Event()
        self.open.set()

    def load(self) -> list[Job]:
        return []

    async def record(self, job: Job) -> None:
        await self.open.wait()
        if self.full:
            raise StorageFull("no room")
        self.written.append((job.id, job.state.value))

    def close(self) -> None:
        self.written.append(("", "closed"))


@pytest.fixture
def manifest(tiny_folder: Path) -> Manifest:
    return Manifest.load(tiny_folder)


Submit = Callable[..., "asyncio.Task[Job]"]


def submitting(book: JobBook, manifest: Manifest) -> Submit:
    """Submits in a task, as a client does."""

    def submit(request: TextToAudio = HUM, owner: str = "a", request_id: str = "") -> Submit:
        submission = Submission(request, owner, request_id, book.takes_folder)
        return asyncio.create_task(
            book.submit(submission, lambda s: book.accept(s, manifest), lambda _: manifest)
        )

    return submit


def states(events: list[Job], job_id: str) -> list[str]:
    return [job.state.value for job in events if job.id == job_id]


def test_what_listeners_see_was_written_before(tmp_path: Path, manifest: Manifest) -> None:
    async def scenario() -> None:
        journal = SlowJournal()
        book = JobBook(tmp_path, journal=journal)
        events: list[Job] = []
        book.listeners.add(events.append)
        journal.open.clear()
        arrival = submitting(book, manifest)()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (events, list(book), book.num_waiting) == ([], [], 1)
        journal.open.set()
        job = await arrival
        assert (journal.written, states(events, job.id)) == ([(job.id, "queued")], ["queued"])
        book.queue().take(live=True)
        await book.begin(job.id)
        await book.begin(job.id)
        book.step(job.id, 1, 2)
        book.step(job.id, 1, 2)
        journal.open.clear()
        ending = asyncio.create_task(book.end(job.id, JobState.DONE))
        await asyncio.sleep(0)
        assert book[job.id].state is JobState.RUNNING
        await book.end(job.id, JobState.CANCELLED)
        journal.open.set()
        await ending
        await book.fail(job.id, RenderError("too late"))
        book.step(job.id, 2, 2)
        changes = ["queued", "running", "running", "done"]
        assert states(events, job.id) == changes
        assert journal.written == [(job.id, s) for s in ("queued", "running", "done")]
        assert (book[job.id].attempts, book.queue().num_unfinished) == (1, 0)

    asyncio.run(scenario())


def test_one_request_id_makes_one_job_also_at_the_same_time(
    tmp_path: Path, manifest: Manifest
) -> None:
    async def scenario() -> None:
        book = JobBook(tmp_path, journal=SlowJournal())
        submit = submitting(book, manifest)
        twice = [submit(request_id="1") for _ in range(2)]
        other, foreign = submit(request_id="2"), submit(owner="b", request_id="1")
        ids = [(await arrival).id for arrival in (*twice, other, foreign)]
        assert ids[0] == ids[1]
        assert len(set(ids)) == 3
        with pytest.raises(Conflict, match="'1' was used before"):
            await submit(msgspec.structs.replace(HUM, seed=8), request_id="1")

    asyncio.run(scenario())


def test_a_client_that_goes_away_leaves_a_whole_job_or_none(
    tmp_path: Path, manifest: Manifest
) -> None:
    async def scenario() -> None:
        journal = SlowJournal()
        book = JobBook(tmp_path, journal=journal)
        journal.open.clear()
        client = submitting(book, manifest)(request_id="1")
        await asyncio.sleep(0.01)
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        assert list(book) == []
        journal.open.set()
        await book.arrivals.finish()
        (job,) = book
        assert (job.id in book.queue(), journal.written) == (True, [(job.id, "queued")])
        assert (await submitting(book, manifest)(request_id="1")).id == job.id

    asyncio.run(scenario())


def test_what_cannot_be_written_is_refused_and_an_accepted_job_goes_on(
    tmp_path: Path, manifest: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        journal = SlowJournal()
        book = JobBook(tmp_path, journal=journal, max_queued=1)
        submit = submitting(book, manifest)
        job = await submit()
        with pytest.raises(QueueFull, match="1 jobs are waiting"):
            await submit()
        journal.full = True
        await book.end(job.id, JobState.DONE)
        assert book[job.id].state is JobState.DONE
        assert "which was not written" in caplog.text
        with pytest.raises(StorageFull):
            await submit(request_id="1")
        assert (book.num_waiting, len(list(book))) == (0, 1)
        journal.full = False
        assert (await submit(request_id="1")).state is JobState.QUEUED

    asyncio.run(scenario())


def test_lost_jobs_are_first_again_and_keep_their_order(tmp_path: Path, manifest: Manifest) -> None:
    async def scenario() -> None:
        book = JobBook(tmp_path)
        submit, queue = submitting(book, manifest), book.queue()
        first, second, third = [(await submit()).id for _ in range(3)]
        for job_id in (first, second):
            assert queue.take(live=True).id == job_id
            await book.begin(job_id)
        book.step(second, 3, 9)
        assert book[third].position == 2
        book.put_back([first, second], blameless={second})
        assert [name for name, _ in queue.positions()] == [first, second, third]
        assert [book[name].attempts for name in (first, second, third)] == [1, 0, 0]
        assert [book[name].position for name in (first, second, third)] == [0, 1, 2]
        assert (book[second].step, book[second].state) == (0, JobState.QUEUED)

    asyncio.run(scenario())


def test_previews_go_with_the_job(tmp_path: Path, manifest: Manifest) -> None:
    async def scenario() -> None:
        book = JobBook(tmp_path)
        job = await submitting(book, manifest)(msgspec.structs.replace(HUM, previews=2))
        path = preview_path(tmp_path, job.id)
        path.parent.mkdir()
        path.write_bytes(b"sound")
        book.preview(job.id, 4)
        preview = book[job.id].preview
        assert preview is not None
        assert (preview.step, preview.path) == (4, path)
        await book.end(job.id, JobState.DONE)
        assert (book[job.id].preview, path.exists()) == (None, False)

    asyncio.run(scenario())


def test_closing_keeps_jobs_in_the_journal_or_fails_them(
    tmp_path: Path, manifest: Manifest
) -> None:
    async def scenario() -> None:
        journal = SlowJournal()
        kept, lost = JobBook(tmp_path, journal=journal), JobBook(tmp_path)
        jobs = [await submitting(book, manifest)() for book in (kept, lost)]
        await kept.close()
        await lost.close()
        assert journal.written[-1] == ("", "closed")
        assert kept[jobs[0].id].state is JobState.QUEUED
        failed = await lost.ended(jobs[1].id)
        assert (failed.state, failed.error_code) == (JobState.FAILED, "unavailable")

    asyncio.run(scenario())


def test_the_oldest_finished_jobs_are_forgotten(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.jobs.remembered.REMEMBERED", 2)

    async def scenario() -> None:
        book = JobBook(tmp_path)
        submit = submitting(book, manifest)
        first, second = await submit(request_id="1"), await submit()
        await book.end(first.id, JobState.DONE)
        third = await submit()
        assert [job.id for job in book] == [second.id, third.id]
        assert (await submit(request_id="1")).id != first.id

    asyncio.run(scenario())
