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
def studio(tiny_folder: Path, tmp_path: Path) -> Iterator[Studio]:
    try:
        with small_disk(tmp_path / "disk", RESERVED_MIB + 24) as disk:
            studio = Studio(tiny_folder, tmp_path / "disk", disk)
            try:
                studio.server.start()
                yield studio
            finally:
                studio.close()
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")


def test_a_full_disk_refuses_new_work_and_harms_nothing(studio: Studio) -> None:
    first = studio.accepted()
    sound = studio.takes(first)
    assert len(sound) == 2
    # The worker stands still, so that the disk is full before the job has ended.
    (worker,) = studio.server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    unlucky = studio.accepted()
    studio.disk.fill(RESERVED_MIB // 2)
    studio.refuses_work()
    studio.disk.fill()
    assert studio.disk.free < 4096
    studio.refuses_work()
    os.kill(worker, signal.SIGCONT)
    job = studio.finished(unlucky)
    assert (job["state"], job["error"]["code"]) == ("failed", "storage_full")
    assert studio.takes(first) == sound
    studio.no_half_files()
    studio.disk.make_room()
    second = studio.accepted()
    assert studio.takes(second) == sound
    studio.server.kill()
    studio.server.start()
    states = {job["id"]: job["state"] for job in studio.ask("GET", "/v1/jobs").json()}
    assert states == {first: "done", unlucky: "failed", second: "done"}
    assert studio.takes(first) == studio.takes(second) == sound
    studio.no_half_files()


@pytest.mark.slow
def test_killed_on_a_full_disk(studio: Studio) -> None:
    """The end of a job finds no room in the journal, and then the plug is pulled: it runs again."""
    first = studio.accepted()
    sound = studio.takes(first)
    (worker,) = studio.server.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    unlucky = studio.accepted()
    studio.disk.fill()
    studio.server.kill()
    os.kill(worker, signal.SIGKILL)
    studio.server.start()
    assert studio.finished(unlucky)["state"] == "failed"
    studio.refuses_work()
    studio.disk.make_room()
    studio.server.kill()
    studio.server.start()
    assert studio.finished(first)["state"] == "done"
    assert studio.finished(unlucky)["state"] in ("done", "failed")
    assert studio.takes(first) == sound
    assert studio.takes(studio.accepted()) == sound
    studio.no_half_files()


def test_a_read_only_disk_refuses_new_work_until_it_is_writable(studio: Studio) -> None:
    first = studio.accepted()
    sound = studio.takes(first)
    studio.server.stop()
    studio.disk.read_only(True)
    studio.server.start()
    studio.refuses_work()
    assert studio.disk.path.joinpath("state").is_dir()
    studio.disk.read_only(False)
    second = studio.accepted()
    assert studio.takes(second) == sound
    studio.server.stop()
    studio.server.start()
    states = {job["id"]: job["state"] for job in studio.ask("GET", "/v1/jobs").json()}
    assert states == {first: "done", second: "done"}
    assert studio.takes(first) == sound
