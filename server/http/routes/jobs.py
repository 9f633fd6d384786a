"""Routes of jobs: submit, list, cancel, events."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from server.engine.engine import Engine, ModelInfo
from server.errors import InvalidRequest, NotFound, QueueFull
from server.http.access import Caller
from server.http.events import EventFeed, visible
from server.http.io import answer, as_json, body, body_chunks, client_of, query
from server.http.multipart import receive_form
from server.http.openapi import Operation
from server.http.streams import hold_stream
from server.http.views import JobEvent, JobSearch, JobView, ModelEvent, Views
from server.jobs.job import Job
from server.jobs.uploads import Uploads
from server.requests.request import AnyRequest, parse_request

__all__ = ["JobRoutes"]

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
        self._arriving: Counter[str] = Counter()
        """Jobs of each client that are being submitted."""

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
                "The newest preview of a running job, where its request asks for `previews`",
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
        wanted = await self._views.with_files(await self._request(request), client)
        with self._place(client):
            job = await self._engine.submit(wanted, owner=client.name, request_id=key)
        view = self._views.job(self._engine.job(job.id), client)
        return answer(view, 202, {"Location": f"/v1/jobs/{job.id}"})

    async def list_jobs(self, request: Request) -> Response:
        search, client = query(request, JobSearch), client_of(request)
        jobs = [
            job
            for job in reversed(self._engine.jobs())
            if visible(job, client) and search.state in ("", job.state.value)
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
        return self._stream(request, job.id)

    async def events(self, request: Request) -> Response:
        return self._stream(request)

    async def websocket(self, websocket: WebSocket) -> None:
        """The events as a WebSocket, one JSON text each."""
        await websocket.accept()
        client = client_of(websocket)
        feed = EventFeed(self._engine, client)
        gone = asyncio.create_task(_until_gone(websocket))
        try:
            async for event, subject in feed.follow(self._closing, gone):
                if subject is not None:
                    view = self._view(event, subject, client)
                    await websocket.send_text(as_json(view).decode())
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
        form = await receive_form(request.headers, chunks, self._uploads, client_of(request).name)
        return parse_request(form)

    @contextmanager
    def _place(self, client: Caller) -> Iterator[None]:
        """Take one of the client's places; inside the block it is held for a job to come.

        Raises:
            QueueFull: the client has no place left.
        """
        own = sum(j.owner == client.name and not j.state.final for j in self._engine.jobs())
        own += self._arriving[client.name]
        if own >= client.max_queued:
            raise QueueFull(f"{own} jobs of yours are unfinished; at most {client.max_queued} are")
        self._arriving[client.name] += 1
        try:
            yield
        finally:
            self._arriving[client.name] -= 1

    def _view(self, event: str, subject: Job | ModelInfo, client: Caller) -> JobEvent | ModelEvent:
        if isinstance(subject, ModelInfo):
            return ModelEvent(model=subject)
        return JobEvent(event=event, job=self._views.job(subject, client))

    def _stream(self, request: Request, job_id: str = "") -> Response:
        stack = hold_stream(request.scope["state"])
        feed = EventFeed(self._engine, client_of(request), job_id)
        stack.callback(feed.close)

        async def lines() -> AsyncIterator[bytes]:
            async for event, subject in feed.follow(self._closing):
                if subject is None:
                    yield b": still here\n\n"
                    continue
                view = self._view(event, subject, feed.client)
                yield b"event: " + event.encode() + b"\ndata: " + as_json(view) + b"\n\n"

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(lines(), headers=headers, media_type="text/event-stream")


async def _until_gone(websocket: WebSocket) -> None:
    """Wait for the client to disconnect; its messages are ignored."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
