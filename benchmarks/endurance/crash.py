"""Crashes: kills worker, server or both at random instants while clients work.

    python -m benchmarks.endurance.crash --model FOLDER [--model FOLDER] [--kills 200] [--seed 0]

Several models are loaded together, each with a worker of its own. Clients submit jobs (some
with a clip that they upload first), each under an idempotency key, and repeat what was not
answered. Afterwards every acknowledged job must be there, once, with exactly the samples of an
undisturbed render; no half file may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile

from benchmarks.server_process import ServerProcess
from server.model.manifest import Manifest
from server.render.pipeline import Pipeline
from server.requests.request import parse_request

__all__ = ["Storm", "main"]

NUM_CLIENTS = 3
_VARIANTS = 4
_STEPS = 60


@dataclass
class Storm:
    """One run; ``faults`` lists violations."""

    models: list[Path]
    folder: Path
    kills: int
    seed: int = 0
    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Key to job id and which request it was."""
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        first, *others = self.models
        flags = [flag for model in others for flag in ("--model", str(model))]
        self._server = ServerProcess(first, self.folder / "server", "--max-queued", "12", *flags)
        self._over = threading.Event()
        self._clip = _clip()
        names = [Manifest.load(model).name for model in self.models]
        self._requests = [_request(k, names[k % len(names)]) for k in range(_VARIANTS)]

    def run(self) -> dict[str, Any]:
        """Kill ``kills`` times, let all jobs finish, and check the results."""
        started = time.monotonic()
        expected = self._undisturbed()
        try:
            self._server.start()
            self._kill_while_clients_work()
            self._examine(expected)
        finally:
            self._server.stop()
        return {
            "kills": dict(self.counts),
            "jobs": len(self.acknowledged),
            "faults": self.faults,
            "seconds": round(time.monotonic() - started),
        }

    def _kill_while_clients_work(self) -> None:
        clients = [threading.Thread(target=self._client, args=(k,)) for k in range(NUM_CLIENTS)]
        for client in clients:
            client.start()
        try:
            while self.counts["kills"] < self.kills:
                self._kill_something()
        finally:
            self._over.set()
            for client in clients:
                client.join()

    def _undisturbed(self) -> list[bytes]:
        """Samples of every request, rendered without kills."""
        pipelines = [Pipeline(model, "cpu", 1) for model in self.models]
        clip = self.folder / "clip.wav"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(self._clip)
        sounds = []
        for number, values in enumerate(self._requests):
            wanted = {**values, "clip": str(clip)} if "clip" in values else values
            pipeline = pipelines[number % len(pipelines)]
            take = pipeline.render(parse_request(wanted))[0]
            sounds.append(_samples(take.encode()))
        return sounds

    def _kill_something(self) -> None:
        time.sleep(self._random.uniform(0.0, 0.8))
        victim = self._random.choice(["worker", "server", "server", "both"])
        workers = self._server.worker_pids() if victim != "server" else []
        if workers:
            worker = self._random.choice(workers)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                self.counts["worker"] += 1
        if victim != "worker":
            self._server.kill()
            self.counts["server"] += 1
            # In half of the cases the clients meet a server that is just starting.
            self._server.start(wait=self._random.random() < 0.5)
        self.counts["kills"] = self.counts["worker"] + self.counts["server"]

    def _client(self, number: int) -> None:
        """Submit jobs one after the other, each until it is acknowledged; check finished ones."""
        choice = random.Random(self.seed * 100 + number)
        done: set[str] = set()
        with httpx.Client(base_url=self._server.url, timeout=10, trust_env=False) as http:
            for count in range(1_000_000):
                variant = choice.randrange(_VARIANTS)
                key = f"{number}-{count}"
                while key not in self.acknowledged and not self._over.is_set():
                    self._submit(http, key, variant)
                    time.sleep(choice.uniform(0.0, 0.2))
                if self._over.is_set():
                    return
                self._look(http, done)

    def _submit(self, http: httpx.Client, key: str, variant: int) -> None:
        values = dict(self._requests[variant])
        try:
            if "clip" in values:
                sent = http.post("/v1/uploads", content=self._clip)
                if sent.status_code not in (201, 503):
                    self.faults.append(f"{key}: the clip: {sent.status_code} {sent.text}")
            answer = http.post("/v1/jobs", json=values, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            self.counts["unanswered"] += 1
            return
        if answer.status_code == 202:
            self.acknowledged[key] = (answer.json()["id"], variant)
        elif answer.status_code not in (404, 429, 503):
            self.faults.append(f"{key}: {answer.status_code} {answer.text}")

    def _look(self, http: httpx.Client, done: set[str]) -> None:
        """Check that finished jobs stay finished."""
        with contextlib.suppress(httpx.HTTPError):
            jobs = http.get("/v1/jobs?limit=500").json()
            states = {job["id"]: job["state"] for job in jobs}
            for job_id in done & states.keys():
                if states[job_id] != "done":
                    self.faults.append(f"job {job_id} was done and is {states[job_id]}")
            done |= {job_id for job_id, state in states.items() if state == "done"}

    def _examine(self, expected: list[bytes]) -> None:
        self._server.wait_ready()
        with httpx.Client(base_url=self._server.url, timeout=60, trust_env=False) as http:
            for key, (job_id, variant) in self.acknowledged.items():
                job = _final(http, job_id)
                self.counts[f"job {job['state']}"] += 1
                if job["state"] == "failed" and "this job" in job["error"]["message"]:
                    continue  # the stated rule: two workers, or six servers, died on it
                if job["state"] != "done":
                    self.faults.append(f"{key}: job {job_id} is {job['state']}: {job['error']}")
                    continue
                repeated = http.post(
                    "/v1/jobs", json=self._requests[variant], headers={"Idempotency-Key": key}
                ).json()
                if repeated.get("id") != job_id:
                    self.faults.append(f"{key}: made another job: {repeated}")
                if _samples(http.get(job["takes"][0]["url"]).content) != expected[variant]:
                    self.faults.append(f"{key}: job {job_id} has other samples")
        self._look_for_litter()

    def _look_for_litter(self) -> None:
        self._server.stop()
        self._server.start()  # its start is what cleans up
        takes = self.folder / "server" / "takes"
        ids = {path.stem.split("_")[-1].partition("-")[0] for path in takes.glob("*.wav")}
        known = {job_id for job_id, _ in self.acknowledged.values()}
        unasked = ids - known
        # A submission without an answer, by a client that was stopped, is no fault.
        if len(unasked) > NUM_CLIENTS:
            self.faults.append(f"takes nobody asked for: {sorted(unasked)}")
        for path in self.folder.rglob(".*.part"):
            self.faults.append(f"half a file: {path}")


def _request(number: int, model: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": "text",
        "model": model,
        "prompt": "low hum",
        "seed": number,
        "num_inference_steps": _STEPS,
        "audio_length_in_s": 0.5,
    }
    if number == 0:
        digest = hashlib.sha256(_clip()).hexdigest()
        values |= {"kind": "transfer", "clip": f"upload:{digest}"}
        del values["audio_length_in_s"]
    return values


def _clip() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(buffer, noise, 16000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _samples(data: bytes) -> bytes:
    return bytes(soundfile.read(io.BytesIO(data))[0].tobytes())


def _final(http: httpx.Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        answer = http.get(f"/v1/jobs/{job_id}")
        if answer.status_code == 404:
            return {"state": "lost", "error": None}
        job = dict(answer.json())
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.05)
    return {"state": "stuck", "error": None}


def main() -> int:
    """Entry point; 1 where there were faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--model", type=Path, required=True, action="append", help="model folder; a small one"
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = Storm(options.model, Path(folder), options.kills, options.seed).run()
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if result["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
