"""A server on a free port of this machine, and a client of it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import soundfile
from engine_log import EngineLog, running_engine

from server.engine.local import LocalEngine
from server.http.access import Gate
from server.http.app import HttpApi
from server.http.server import serving
from server.jobs.journal import Journal
from server.jobs.uploads import Uploads

QUICK = {
    "kind": "text",
    "prompt": "low hum",
    "seed": 7,
    "num_inference_steps": 3,
    "audio_length_in_s": 0.5,
}
ENDLESS = {
    "priority": "live",
    **QUICK,
    "num_inference_steps": 1000,
    "audio_length_in_s": 5.0,
    "num_waveforms_per_prompt": 64,
}
"""Never ends within a test: for what has to be running until it is cancelled."""


class Running(NamedTuple):
    """What a test talks to."""

    http: httpx.AsyncClient
    engine: LocalEngine
    log: EngineLog
    uploads: Uploads
    url: str

    async def submit(self, values: dict[str, Any], **headers: str) -> dict[str, Any]:
        """The job that was accepted."""
        response = await self.http.post("/v1/jobs", json=values, headers=headers)
        assert response.status_code == 202, response.text
        return dict(response.json())

    async def done(self, values: dict[str, Any]) -> dict[str, Any]:
        """The job when it is finished."""
        job_id = (await self.submit(values))["id"]
        await self.log.final(job_id)
        return dict((await self.http.get(f"/v1/jobs/{job_id}")).json())


@asynccontextmanager
async def running_server(
    model: Path,
    folder: Path,
    *,
    gate: Gate | None = None,
    token: str = "",
    max_upload_bytes: int = 2**22,
    **options: Any,
) -> AsyncIterator[Running]:
    """Engine, journal and HTTP, as audioldm-server has them."""
    journal = Journal(folder / "state" / "journal.sqlite3")
    uploads = Uploads(folder / "state" / "uploads", max_upload_bytes)
    async with running_engine(model, folder / "takes", journal=journal, **options) as (engine, log):
        api = HttpApi(engine, uploads, journal=journal, gate=gate)
        async with serving(api.app, "127.0.0.1", 0) as port:
            url = f"http://127.0.0.1:{port}"
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
                try:
                    yield Running(client, engine, log, uploads, url)
                finally:
                    api.close()


def wav(seconds: float = 0.5, sample_rate: int = 16000, seed: int = 0) -> bytes:
    """A short sound as a file."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * sample_rate))
    soundfile.write(buffer, noise, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def error_of(response: httpx.Response, status: int) -> dict[str, str]:
    """Code and message of an answer that has to be an error of ``status``."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == {"code", "message"}
    return dict(response.json()["error"])
