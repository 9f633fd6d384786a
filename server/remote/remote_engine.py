"""The engine of another machine, over HTTP, as if it were here.

Clips go up, events come in, takes come down and are only then done. The connection may break
at any time: jobs live in the server's journal, ids stay, transfers go on where they stopped.
While the server cannot be reached, new jobs go to a local engine, if there is one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from server.engine.engine import Engine, EngineStatus, ModelInfo
from server.errors import AudioLDMError, EngineUnavailable, NotFound
from server.http.views import ModelEvent
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState
from server.jobs.submission import Submission
from server.model.manifest import Manifest
from server.remote.client import RemoteClient
from server.remote.remote_jobs import RemoteJobs
from server.requests.request import validate
from server.store.plan import AddRequest
from server.supervision import SupervisedTask

__all__ = ["RemoteEngine"]

log = logging.getLogger("audioldm.remote")

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 3.0
_STATES: Final = {"connected": "ready", "reconnecting": "restarting", "down": "down"}


class RemoteEngine(Engine):
    """Renders on an audioldm-server.

    Args:
        make_fallback: makes the engine that renders while the server is gone.
        down_after_s: after this long without the server it is down, not reconnecting any more.

    Raises:
        InvalidRequest: ``url`` is none.
    """

    def __init__(
        self,
        url: str,
        takes_folder: Path,
        *,
        token: str = "",
        make_fallback: Callable[[], Engine] | None = None,
        down_after_s: float = 5.0,
    ) -> None:
        super().__init__(JobBook(takes_folder))
        self._client = RemoteClient(url, token)
        self._down_after_s = down_after_s
        self._make_fallback = make_fallback
        self._fallback: Engine | None = None
        self._fallback_ids: set[str] = set()
        self._manifest: Manifest | None = None
        self._task: SupervisedTask | None = None
        self._connected = asyncio.Event()
        self._there = RemoteJobs(self._client, self._book, self._connected)
        self._lost_s = 0.0
        self._reconnects = 0
        self._models: dict[str, ModelInfo] = {}
        self._budget_bytes = 0

    @property
    def manifest(self) -> Manifest:
        """The server's model; the local engine's as long as the server was never reached.

        Raises:
            EngineUnavailable: not started.
        """
        if self._manifest is not None:
            return self._manifest
        if self._fallback is not None:
            return self._fallback.manifest
        raise EngineUnavailable(f"{self._client.url} was not reached yet")

    @property
    def connection(self) -> str:
        """``connected``, ``reconnecting`` or ``down``."""
        if self._connected.is_set():
            return "connected"
        gone_s = time.monotonic() - self._lost_s
        return "reconnecting" if gone_s < self._down_after_s else "down"

    async def start(self) -> None:
        """Connect; without the server, start the local engine and keep trying.

        Raises:
            EngineUnavailable: no server, and nothing to fall back to.
            Unauthorized: the token is wrong.
        """
        self._lost_s = time.monotonic() - self._down_after_s
        try:
            self._manifest = await self._client.manifest()
        except EngineUnavailable as error:
            if self._make_fallback is None:
                raise
            log.warning("%s; rendering here until it is back", error)
            await self._use_fallback()
        await self._book.restore()
        name = f"connection to {self._client.url}"
        self._task = self.supervisor.add(SupervisedTask(name, self._stay_connected))
        if self._manifest is not None:
            await self._connected.wait()

    async def close(self) -> None:
        """Stop listening; what the server has accepted it goes on with."""
        self._task = None
        await self.supervisor.close()
        await self._there.close()
        self._connected.clear()
        await self._client.close()
        await self._book.arrivals.finish()
        if self._fallback is not None:
            await self._fallback.close()

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        job = self._book[job_id]
        if job.state.final:
            return job
        if job_id in self._fallback_ids and self._fallback is not None:
            return await self._fallback.cancel(job_id)
        await self._there.follow(await self._client.cancel(job_id))
        return self._book[job_id]

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that the server's models take on each device, and may take."""
        here = [m for m in self._models.values() if m.state in ("loading", "loaded", "unloading")]
        return sum(model.memory_bytes for model in here), self._budget_bytes

    def models(self) -> list[ModelInfo]:
        """The server's models as it described them last, the default first."""
        return list(self._models.values())

    async def add_model(self, request: AddRequest) -> ModelInfo:
        """Begin to add a model there; see :meth:`server.engine.engine.Engine.add_model`."""
        return await self._client.add_model(request)

    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model there; see :meth:`server.engine.engine.Engine.load_model`."""
        return await self._client.change_model(name, "load")

    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory there; see :meth:`server.engine.engine.Engine.unload_model`."""
        return await self._client.change_model(name, "unload")

    def status(self) -> EngineStatus:
        """How the engine is."""
        states = [job.state for job in self._book]
        known = self._manifest or (self._fallback.manifest if self._fallback else None)
        renders_here = self.connection != "connected" and self._fallback is not None
        return EngineStatus(
            state="ready" if renders_here else _STATES[self.connection],
            model=known.name if known else "",
            model_digest=known.digest if known else "",
            providers=(f"HTTP {self._client.url}",),
            queued=states.count(JobState.QUEUED),
            running=states.count(JobState.RUNNING),
            restarts=self._reconnects,
            details=self._details(connection=self.connection, fallback=renders_here),
        )

    async def _accept(self, submission: Submission) -> Job:
        """Send clips and request to the server; to the local engine where it is gone."""
        if self._task is None:
            raise EngineUnavailable("the engine is not running")
        validate(submission.request)
        if self.connection == "down" and self._make_fallback is not None:
            return await self._submit_here(submission)
        try:
            return await self._there.submit(submission)
        except EngineUnavailable as error:
            if self._make_fallback is None:
                raise
            log.warning("%s; rendering here", error)
            return await self._submit_here(submission)

    async def _submit_here(self, submission: Submission) -> Job:
        engine, request = await self._use_fallback(), submission.request
        known = {model.name for model in engine.models()}
        if request.model and request.model not in known:
            log.warning("model %s is not here; rendering with %s", request.model, min(known))
            request = msgspec.structs.replace(request, model="")
        return await engine.submit(
            request,
            owner=submission.owner,
            request_id=submission.request_id,
            folder=submission.folder,
            temporary=submission.temporary,
        )

    async def _use_fallback(self) -> Engine:
        if self._fallback is None:
            assert self._make_fallback is not None
            self._fallback = self._make_fallback()
            self._fallback.listen(self._follow_fallback)
            await self._fallback.start()
        return self._fallback

    def _follow_fallback(self, job: Job) -> None:
        if job.id in self._fallback_ids:
            self._book.put(job)
        else:
            self._fallback_ids.add(job.id)
            self._book.add(job)

    async def _stay_connected(self) -> None:
        """Follow the server for ever, over one connection after the other."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self._follow()
            except AudioLDMError as error:
                if self._connected.is_set():
                    log.warning("%s; connecting again", error)
                    pause_s = _FIRST_PAUSE_S
            finally:
                self._disconnected()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _follow(self) -> None:
        """One connection; after a break, ask how one's own jobs stand.

        Raises:
            EngineUnavailable: it broke.
        """
        async for event in self._client.events():
            if not self._connected.is_set():
                await self._catch_up()
                self._connected.set()
            if isinstance(event, ModelEvent):
                self._model_is(event.model)
            elif event is not None:
                await self._there.follow(event.job)
        raise EngineUnavailable(f"{self._client.url} closed the connection")

    def _disconnected(self) -> None:
        if self._connected.is_set():
            self._connected.clear()
            self._lost_s = time.monotonic()
            self._reconnects += 1

    async def _catch_up(self) -> None:
        self._manifest = await self._client.manifest()
        there = await self._client.models()
        self._budget_bytes = there.budget_bytes
        for model in there.models:
            self._model_is(model)
        for job in self._book:
            if job.state.final or job.id in self._fallback_ids:
                continue
            try:
                await self._there.follow(await self._client.job(job.id))
            except NotFound as error:
                await self._book.fail(job.id, NotFound(f"the server has lost the job: {error}"))

    def _model_is(self, info: ModelInfo) -> None:
        """The server said how a model stands."""
        if self._models.get(info.name) != info:
            self._models[info.name] = info
            self._model_listeners.notify(info)
