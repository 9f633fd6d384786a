"""Routes of jobs: submit, look, cancel, listen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from server.engine.engine import Engine, ModelInfo
from server.errors import InvalidRequest, NotFound, QueueFull
from server.http.access import Caller
from server.http.io import answer, body, body_chunks, client_of, query
from server.http.multipart import receive_form
from server.http.openapi import Operation
from server.http.views import JobEvent, JobSearch, JobView, ModelEvent, Views
from server.jobs.job import Job, JobState
from server.jobs.uploads import Uploads
from server.requests.request import AnyRequest, parse_request

__all__ = ["JobRoutes"]

_KEEP_ALIVE_S: Final = 15.0
_MAX_KEY: Final = 200


class JobRoutes:
    """``/v1/jobs`` and ``/v1/events``."""

    def __init__(
        self, engine: Engine, views: Views, uploads: Uploads, closing: asyncio.Event
    ) -> None:
        self._engine = engine
        self._views = views
        self._uploads = uploads
        self._closing = closing

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What is answered, and how it is described."""
        key = {"Idempotency-Key": "the same key with the same request makes no second job"}
        return (
            Operation(
                *("POST", "/v1/jobs", self.submit_job),
                "Submit a request; as multipart/form-data with `request` (JSON) and clips as files",
                body=AnyRequest,
                body_content="multipart/form-data",
                answer=JobView,
                status=202,
                headers=key,
                errors=(404, 409, 413, 415, 503, 507),
            ),
            Operation(
                *("GET", "/v1/jobs", self.list_jobs, "Jobs, newest first"),
                query=JobSearch,
                answer=list[JobView],
            ),
            Operation(
                *("GET", "/v1/jobs/{job_id}", self.get_job, "One job"),
                answer=JobView,
                errors=(404,),
            ),
            Operation(
                *("DELETE", "/v1/jobs/{job_id}", self.cancel_job),
                "Cancel a job; a finished one stays as it is",
                answer=JobView,
                errors=(404,),
            ),
            Operation(
                *("GET", "/v1/jobs/{job_id}/preview", self.preview_audio),
                "How the first take of a running job sounds by now, where `previews` asks for it",
                content="audio/wav",
                errors=(404,),
            ),
            Operation(
                *("GET", "/v1/jobs/{job_id}/events", self.job_events),
                "Events of one job until it is final (server-sent events)",
                content="text/event-stream",
                errors=(404,),
            ),
            Operation(
                *("GET", "/v1/events", self.events),
                "Events of all jobs and models (server-sent events; also as a WebSocket)",
                content="text/event-stream",
            ),
        )

    async def submit_job(self, request: Request) -> Response:
        client = client_of(request)
        key = request.headers.get("idempotency-key", "")
        if len(key) > _MAX_KEY:
            raise InvalidRequest(f"Idempotency-Key is longer than {_MAX_KEY} characters")
        wanted = self._views.with_files(await self._request(request), client)
        self._check_quota(client)
        job = await self._engine.submit(wanted, owner=client.name, request_id=key)
        view = self._views.job(self._engine.job(job.id), client)
        return answer(view, 202, {"Location": f"/v1/jobs/{job.id}"})

    async def list_jobs(self, request: Request) -> Response:
        search, client = query(request, JobSearch), client_of(request)
        jobs = [
            job
            for job in reversed(self._engine.jobs())
            if _visible(job, client) and search.state in ("", job.state.value)
        ]
        chosen = jobs[search.offset : search.offset + search.limit]
        return answer([self._views.job(job, client) for job in chosen])

    async def get_job(self, request: Request) -> Response:
        client = client_of(request)
        return answer(
            self._views.job(self._views.visible(request.path_params["job_id"], client), client)
        )

    async def cancel_job(self, request: Request) -> Response:
        client = client_of(request)
        job = self._views.visible(request.path_params["job_id"], client)
        return answer(self._views.job(await self._engine.cancel(job.id), client))

    async def preview_audio(self, request: Request) -> Response:
        job = self._views.visible(request.path_params["job_id"], client_of(request))
        content = b""
        if job.preview is not None:
            with contextlib.suppress(FileNotFoundError):  # the job has just ended
                content = await asyncio.to_thread(job.preview.path.read_bytes)
        if not content:
            raise NotFound(f"job {job.id} has no preview, or none any more")
        return Response(content, headers={"Cache-Control": "no-store"}, media_type="audio/wav")

    async def job_events(self, request: Request) -> Response:
        job = self._views.visible(request.path_params["job_id"], client_of(request))
        return self._stream(_Feed(self._engine, client_of(request), job.id))

    async def events(self, request: Request) -> Response:
        return self._stream(_Feed(self._engine, client_of(request)))

    async def websocket(self, websocket: WebSocket) -> None:
        """The events as a WebSocket, one JSON text each."""
        await websocket.accept()
        client = client_of(websocket)
        feed = _Feed(self._engine, client)
        gone = asyncio.create_task(_until_gone(websocket))
        try:
            async for event, subject in feed.follow(self._closing, gone):
                if subject is not None:
                    told = self._told(event, subject, client)
                    await websocket.send_text(msgspec.json.encode(told, enc_hook=str).decode())
            if not gone.done():
                await websocket.close(1001)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            feed.close()
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _request(self, request: Request) -> AnyRequest:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            return parse_request(await body(request, dict[str, Any]))
        chunks = body_chunks(request, self._uploads.max_bytes + 2**20)
        return parse_request(await receive_form(request.headers, chunks, self._uploads))

    def _check_quota(self, client: Caller) -> None:
        own = sum(j.owner == client.name and not j.state.final for j in self._engine.jobs())
        if own >= client.max_queued:
            raise QueueFull(f"{own} jobs of yours are unfinished; at most {client.max_queued} are")

    def _told(self, event: str, subject: Job | ModelInfo, client: Caller) -> JobEvent | ModelEvent:
        if isinstance(subject, ModelInfo):
            return ModelEvent(model=subject)
        return JobEvent(event=event, job=self._views.job(subject, client))

    def _stream(self, feed: _Feed) -> Response:
        async def lines() -> AsyncIterator[bytes]:
            try:
                async for event, subject in feed.follow(self._closing):
                    if subject is None:
                        yield b": still here\n\n"
                        continue
                    told = self._told(event, subject, feed.client)
                    data = msgspec.json.encode(told, enc_hook=str)
                    yield b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
            finally:
                feed.close()

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(lines(), headers=headers, media_type="text/event-stream")


class _Feed:
    """What a client has yet to be told: the newest snapshot of each job and model, so that a slow
    client costs no more memory than there are jobs."""

    def __init__(self, engine: Engine, client: Caller, job_id: str = "") -> None:
        self.client = client
        self._job_id = job_id
        self._news = asyncio.Event()
        self._told: dict[str, Job] = {}
        # Whoever comes (back) is told how everything stands.
        self._untold: dict[str, Job | ModelInfo] = {
            job.id: job
            for job in engine.jobs()
            if self._concerns(job) and (job_id or not job.state.final)
        }
        self._unlisten = [engine.listen(self._take_note)]
        if not job_id:
            self._unlisten.append(engine.listen_models(self._take_note_of_model))

    async def follow(
        self, closing: asyncio.Event, gone: asyncio.Task[None] | None = None
    ) -> AsyncIterator[tuple[str, Job | ModelInfo | None]]:
        """Event name and what it is about, until ``closing`` or ``gone``; None now and then in
        silence."""
        while not closing.is_set() and not (gone and gone.done()):
            untold, self._untold = self._untold, {}
            for subject in untold.values():
                if isinstance(subject, ModelInfo):
                    yield "model", subject
                    continue
                for event in self._events(subject):
                    yield event, subject
                if subject.id == self._job_id and subject.state.final:
                    return
            if not await self._wait(closing, gone) and not closing.is_set():
                yield "", None

    def close(self) -> None:
        """Stop listening."""
        for unlisten in self._unlisten:
            unlisten()

    async def _wait(self, closing: asyncio.Event, gone: asyncio.Task[None] | None) -> bool:
        """True when there is something to do."""
        if self._untold:
            return True
        self._news.clear()
        waits = [asyncio.create_task(e.wait()) for e in (self._news, closing)]
        try:
            done, _ = await asyncio.wait(
                [*waits, *([gone] if gone else [])],
                timeout=_KEEP_ALIVE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            return bool(done)
        finally:
            for wait in waits:
                wait.cancel()

    def _take_note(self, job: Job) -> None:
        if self._concerns(job):
            self._untold[job.id] = job
            self._news.set()

    def _take_note_of_model(self, info: ModelInfo) -> None:
        self._untold[f"model {info.name}"] = info
        self._news.set()

    def _concerns(self, job: Job) -> bool:
        return _visible(job, self.client) and self._job_id in ("", job.id)

    def _events(self, job: Job) -> list[str]:
        """What is new in ``job`` since this client was told of it."""
        before = self._told.pop(job.id, None)
        if not job.state.final:
            self._told[job.id] = job
        heard = job.preview is not None and (before is None or before.preview != job.preview)
        names = ["preview"] if heard else []
        if before is None or before.state is not job.state:
            return [job.state.value, *names]
        if heard and before.step == job.step:
            return names
        return ["progress" if job.state is JobState.RUNNING else job.state.value, *names]


def _visible(job: Job, client: Caller) -> bool:
    return client.sees_all or job.owner == client.name


async def _until_gone(websocket: WebSocket) -> None:
    """What the client sends is of no interest; that it goes is."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
