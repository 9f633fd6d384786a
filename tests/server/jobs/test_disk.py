"""A disk that is really full, and one that is really read-only."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_run import QUICK, wav

from benchmarks.endurance.small_disk import SmallDisk, small_disk
from benchmarks.server_process import ServerProcess

pytestmark = pytest.mark.integration

RESERVED_MIB = 32
REQUEST = {**QUICK, "num_waveforms_per_prompt": 2}


class Studio:
    """A server on a small disk, and its client."""

    def __init__(self, model: Path, folder: Path, disk: SmallDisk) -> None:
        self.disk = disk
        self.server = ServerProcess(model, folder, within=disk.within)
        self._http = httpx.Client(base_url=self.server.url, timeout=60, trust_env=False)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._http.request(method, path, **options)

    def accepted(self) -> str:
        answer = self.ask("POST", "/v1/jobs", json=REQUEST)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def finished(self, job_id: str) -> dict[str, Any]:
        """The job when nothing more happens to it."""
        self.ask("GET", f"/v1/jobs/{job_id}/events")
        return dict(self.ask("GET", f"/v1/jobs/{job_id}").json())

    def takes(self, job_id: str) -> list[bytes]:
        takes = self.finished(job_id)["takes"]
        return [self.ask("GET", take["url"]).content for take in takes]

    def refuses_work(self) -> None:
        """New work is refused as documented; everything else is answered."""
        for path, body in (("/v1/jobs", {"json": REQUEST}), ("/v1/uploads", {"content": wav()})):
            answer = self.ask("POST", path, **body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")
        for path in ("/health", "/ready", "/v1/jobs", "/v1/status", "/features"):
            assert self.ask("GET", path).status_code == 200

    def no_half_files(self) -> None:
        found = [path.name for path in self.disk.path.rglob("*.part")]
        assert found == []

    def close(self) -> None:
        self._http.close()
        self.server.stop()


@pytest.fixture
def context(tiny_folder: Path, tmp_path: Path) -> Iterator[Studio]:
    try:
        with small_disk(tmp_path / "disk", RESERVED_MIB + 24) as disk:
            context = Studio(tiny_folder, tmp_path / "disk", disk)
            try:
                context.server.start()
                yield context
            finally:
                context.close()
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")


def test_a_full_disk_refuses_new_work_and_harms_nothing(context: Studio) -> None:
    first = context.accepted()
    sound = context.takes(first)
    assert len(sound) == 2
    # The worker stands still, so that the disk is full before the job has ended.
    (worker,) = context.server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    unlucky = context.accepted()
    context.disk.fill(RESERVED_MIB // 2)
    context.refuses_work()
    context.disk.fill()
    assert context.disk.free < 4096
    context.refuses_work()
    os.kill(worker, signal.SIGCONT)
    job = context.finished(unlucky)
    assert (job["state"], job["error"]["code"]) == ("failed", "storage_full")
    assert context.takes(first) == sound
    context.no_half_files()
    context.disk.make_room()
    second = context.accepted()
    assert context.takes(second) == sound
    context.server.kill()
    context.server.start()
    states = {job["id"]: job["state"] for job in context.ask("GET", "/v1/jobs").json()}
    assert states == {first: "done", unlucky: "failed", second: "done"}
    assert context.takes(first) == context.takes(second) == sound
    context.no_half_files()


@pytest.mark.slow
def test_killed_on_a_full_disk(context: Studio) -> None:
    """The end of a job finds no room in the journal, and then the plug is pulled: it runs again."""
    first = context.accepted()
    sound = context.takes(first)
    (worker,) = context.server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    unlucky = context.accepted()
    context.disk.fill()
    context.server.kill()
    os.kill(worker, signal.SIGKILL)
    context.server.start()
    assert context.finished(unlucky)["state"] == "failed"
    context.refuses_work()
    context.disk.make_room()
    context.server.kill()
    context.server.start()
    assert context.finished(first)["state"] == "done"
    assert context.finished(unlucky)["state"] in ("done", "failed")
    assert context.takes(first) == sound
    assert context.takes(context.accepted()) == sound
    context.no_half_files()


def test_a_read_only_disk_refuses_new_work_until_it_is_writable(context: Studio) -> None:
    first = context.accepted()
    sound = context.takes(first)
    context.server.stop()
    context.disk.read_only(True)
    context.server.start()
    context.refuses_work()
    assert context.disk.path.joinpath("state").is_dir()
    context.disk.read_only(False)
    second = context.accepted()
    assert context.takes(second) == sound
    context.server.stop()
    context.server.start()
    states = {job["id"]: job["state"] for job in context.ask("GET", "/v1/jobs").json()}
    assert states == {first: "done", second: "done"}
    assert context.takes(first) == sound
