"""The engine of another machine, over HTTP, as if it were here.

Clips go up, events come in, takes come down and are only then done. The connection may break
at any time: jobs live in the server's journal, ids stay, transfers go on where they stopped.
While the server cannot be reached, new jobs go to a local engine, if there is one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from server.engine.engine import Engine, EngineStatus, Listener, Unlisten
from server.engine.model_host import ModelInfo, ModelListener, models_of
from server.errors import AudioLDMError, EngineUnavailable, NotFound
from server.http.views import ModelEvent, file_fields
from server.jobs.book import JobBook
from server.jobs.job import Job, JobState, same_again
from server.jobs.storage import remove_parts
from server.model.manifest import Manifest
from server.remote.client import RemoteClient
from server.remote.remote_jobs import RemoteJobs
from server.requests.request import AnyRequest, validate
from server.requests.resolved import parse_resolved

__all__ = ["RemoteEngine"]

log = logging.getLogger("audioldm.remote")

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 3.0
_TRIES: Final = 4


class RemoteEngine:
    """Implements :class:`server.engine.engine.Engine` by an audioldm-server at ``url``.

    ``make_fallback`` makes the engine that renders while the server is gone; ``down_after_s`` is
    how long the server may be unreachable before it counts as down and not as reconnecting.
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
        self._client = RemoteClient(url, token)
        self._takes_folder = takes_folder
        self._make_fallback = make_fallback
        self._down_after_s = down_after_s
        self._fallback: Engine | None = None
        self._fallback_ids: set[str] = set()
        self._jobs = JobBook()
        self._manifest: Manifest | None = None
        self._following: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._there = RemoteJobs(self._client, self._jobs, takes_folder, self._connected)
        self._lost_s = 0.0
        self._reconnects = 0
        self._models: dict[str, ModelInfo] = {}
        self._budget_bytes = 0
        self._model_listeners: list[ModelListener] = []

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
        await asyncio.to_thread(remove_parts, self._takes_folder)
        self._following = asyncio.create_task(self._follow())
        if self._manifest is not None:
            await self._connected.wait()

    async def close(self) -> None:
        """Stop listening; what the server has accepted it goes on with."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None
        await self._there.close()
        self._connected.clear()
        await self._client.close()
        if self._fallback is not None:
            await self._fallback.close()

    async def submit(
        self,
        request: AnyRequest,
        *,
        owner: str = "",
        request_id: str = "",
        folder: Path | None = None,
    ) -> Job:
        """Send clips and request; see :meth:`server.engine.engine.Engine.submit`."""
        known = self._jobs.of_request(owner, request_id)
        if known is not None:
            return same_again(known, request, self.manifest)
        if self._following is None:
            raise EngineUnavailable("the engine is not running")
        request = validate(request)
        folder = folder or self._takes_folder
        if self.connection == "down" and self._make_fallback is not None:
            return await self._submit_here(request, owner, request_id, folder)
        try:
            return await self._submit_there(request, owner, request_id, folder)
        except EngineUnavailable as error:
            if self._make_fallback is None:
                raise
            log.warning("%s; rendering here", error)
            return await self._submit_here(request, owner, request_id, folder)

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; see :meth:`server.engine.engine.Engine.cancel`."""
        job = self._jobs[job_id]
        if job.state.final:
            return job
        if job_id in self._fallback_ids and self._fallback is not None:
            return await self._fallback.cancel(job_id)
        self._there.see(await self._client.cancel(job_id))
        return self._jobs[job_id]

    def job(self, job_id: str) -> Job:
        """The newest snapshot of a job.

        Raises:
            NotFound: no such job.
        """
        return self._jobs[job_id]

    def jobs(self) -> list[Job]:
        """All jobs of this program's run, oldest first."""
        return list(self._jobs)

    def listen(self, listener: Listener) -> Unlisten:
        """Call ``listener`` with a snapshot at every change of any job."""
        return self._jobs.listen(listener)

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that the server's models take on each device, and may take."""
        here = [m for m in self._models.values() if m.state in ("loading", "loaded", "unloading")]
        return sum(model.memory_bytes for model in here), self._budget_bytes

    def models(self) -> list[ModelInfo]:
        """The server's models as they were told last, the default first."""
        return list(self._models.values())

    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model there; see `ModelHost.load_model`."""
        return await self._client.change_model(name, "load")

    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory there; see `ModelHost.unload_model`."""
        return await self._client.change_model(name, "unload")

    def listen_models(self, listener: ModelListener) -> Unlisten:
        """Call ``listener`` at every change of any model's state."""
        self._model_listeners.append(listener)
        return lambda: self._model_listeners.remove(listener)

    def status(self) -> EngineStatus:
        """How the engine is."""
        states = [job.state for job in self._jobs]
        known = self._manifest or (self._fallback.manifest if self._fallback else None)
        renders_here = self.connection != "connected" and self._fallback is not None
        state = {"connected": "ready", "reconnecting": "restarting", "down": "down"}
        return EngineStatus(
            state="ready" if renders_here else state[self.connection],
            model=known.name if known else "",
            model_digest=known.digest if known else "",
            providers=(f"HTTP {self._client.url}",),
            queued=states.count(JobState.QUEUED),
            running=states.count(JobState.RUNNING),
            restarts=self._reconnects,
            details={"connection": self.connection, "fallback": renders_here},
        )

    async def _submit_there(
        self, request: AnyRequest, owner: str, request_id: str, folder: Path
    ) -> Job:
        # A drawn key makes it safe to send once more what may or may not have arrived.
        own = f"{owner}\n{request_id}" if request_id else secrets.token_hex(16)
        key = hashlib.sha256(own.encode()).hexdigest()
        values: dict[str, Any] = msgspec.to_builtins(request)
        local = {name: values[name] for name in file_fields(type(request)) if values[name]}
        for attempt in range(_TRIES):
            try:
                sent = dict(values)
                for name, path in local.items():
                    sent[name] = await self._client.upload(Path(path))
                view = await self._client.submit(sent, key)
                break
            except EngineUnavailable:
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
        if known := self._jobs.of_request(owner, request_id):
            return known
        job = Job(
            id=view.id,
            request=parse_resolved({**view.request, **local}),
            owner=owner,
            request_id=request_id,
            folder=folder,
            position=view.position,
            created_s=view.created_s,
        )
        self._there.add(job, view)
        return job

    async def _submit_here(
        self, request: AnyRequest, owner: str, request_id: str, folder: Path
    ) -> Job:
        engine = await self._use_fallback()
        known = {model.name for model in models_of(engine)}
        if request.model and request.model not in known:
            log.warning("model %s is not here; rendering with %s", request.model, min(known))
            request = msgspec.structs.replace(request, model="")
        return await engine.submit(request, owner=owner, request_id=request_id, folder=folder)

    async def _use_fallback(self) -> Engine:
        if self._fallback is None:
            assert self._make_fallback is not None
            self._fallback = self._make_fallback()
            self._fallback.listen(self._mirror)
            await self._fallback.start()
        return self._fallback

    def _mirror(self, job: Job) -> None:
        if job.id in self._fallback_ids:
            self._jobs.put(job)
        else:
            self._fallback_ids.add(job.id)
            self._jobs.add(job)

    async def _follow(self) -> None:
        """Listen for ever; after every break, ask how one's own jobs stand."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async for event in self._client.events():
                    if not self._connected.is_set():
                        pause_s = _FIRST_PAUSE_S
                        await self._catch_up()
                        self._connected.set()
                    if isinstance(event, ModelEvent):
                        self._see_model(event.model)
                    elif event is not None:
                        self._there.see(event.job)
                raise EngineUnavailable(f"{self._client.url} closed the connection")
            except AudioLDMError as error:
                if self._connected.is_set():
                    log.warning("%s; connecting again", error)
                    self._connected.clear()
                    self._lost_s = time.monotonic()
                    self._reconnects += 1
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _catch_up(self) -> None:
        self._manifest = await self._client.manifest()
        told = await self._client.models()
        self._budget_bytes = told.budget_bytes
        for model in told.models:
            self._see_model(model)
        for job in self._jobs:
            if job.state.final or job.id in self._fallback_ids:
                continue
            try:
                self._there.see(await self._client.job(job.id))
            except NotFound as error:
                self._there.fail(job.id, f"the server has lost the job: {error}", error.code)

    def _see_model(self, info: ModelInfo) -> None:
        """The server said how a model stands."""
        if self._models.get(info.name) == info:
            return
        self._models[info.name] = info
        for listener in tuple(self._model_listeners):
            listener(info)
