"""A renderer whose jobs are rendered by replicas elsewhere, each job by one of them.

Clips go there and takes come back as bytes; what a replica says of a job is reported as a worker
process reports it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from server.audio.fence.regular import read_regular
from server.errors import AudioLDMError, Cancelled, RenderError, StorageFull
from server.jobs.job import Job, JobState, TakeInfo, take_name
from server.jobs.storage import write_whole
from server.remote.cluster_replica import Part, PreviewPart
from server.requests.fields import file_fields
from server.requests.resolved import AnyResolved
from server.worker import protocol

__all__ = ["ReplicaRenderer", "Replicas"]

log = logging.getLogger("audioldm.cluster")

_MAX_CLIP_BYTES: Final = 2**30
_PAUSE_S: Final = 0.5
"""After a loss, until the job is rendered again."""


class Replicas(Protocol):
    """Where jobs are rendered."""

    async def start(self) -> int:
        """Come up; how many replicas there are to be. Raises ModelError, EngineUnavailable."""

    def render(self, request: AnyResolved, files: Mapping[str, bytes]) -> AsyncIterator[Part]:
        """Render on one of them; see :meth:`server.remote.cluster_replica.Replica.render`.

        Raises:
            ConnectionError: the replica is gone.
        """

    async def close(self) -> None:
        """Let them go."""


class ReplicaRenderer:
    """A :class:`~server.worker.renderer.Renderer` of ``replicas``."""

    def __init__(self, replicas: Replicas) -> None:
        self.ready = protocol.Ready(("Ray Serve",), frames_a_call=0, replicas=0)
        self.details: dict[str, Any] = {}
        self._replicas = replicas
        self._rendering: dict[str, asyncio.Task[None]] = {}
        self._events: asyncio.Queue[protocol.FromWorker] = asyncio.Queue()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ReplicaRenderer]:
        """Itself, while the replicas are up; see :data:`~server.worker.renderer.NewRenderer`."""
        try:
            num_replicas = await self._replicas.start()
            self.ready = msgspec.structs.replace(self.ready, replicas=num_replicas)
            self.details = {"replicas": num_replicas}
            yield self
        finally:
            tasks = tuple(self._rendering.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._replicas.close()

    async def send(self, command: protocol.ToWorker) -> None:
        """Begin or cancel a job."""
        match command:
            case protocol.Render(job_id):
                self._rendering[job_id] = asyncio.create_task(self._render(command))
            case protocol.Cancel(job_id) if job_id in self._rendering:
                self._rendering[job_id].cancel()

    async def receive(self) -> protocol.FromWorker:
        """The next event of any job."""
        return await self._events.get()

    async def _render(self, order: protocol.Render) -> None:
        """One job, up to the event that ends it."""
        try:
            event = await self._outcome(order)
        except asyncio.CancelledError:
            event = protocol.Failed(order.job_id, Cancelled.code, "cancelled")
        del self._rendering[order.job_id]
        self._events.put_nowait(event)

    async def _outcome(
        self, order: protocol.Render
    ) -> protocol.Done | protocol.Failed | protocol.Lost:
        try:
            return await self._on_a_replica(order)
        except ConnectionError as error:
            await asyncio.sleep(_PAUSE_S)
            return protocol.Lost(order.job_id, str(error))
        except AudioLDMError as error:
            return protocol.Failed(order.job_id, error.code, str(error))
        except Exception as error:
            log.exception("job %s", order.job_id)
            return protocol.Failed(order.job_id, RenderError.code, repr(error))

    async def _on_a_replica(self, order: protocol.Render) -> protocol.Done | protocol.Failed:
        files = await asyncio.to_thread(_contents, order.request)
        last, takes = Job(id="", request=order.request), list[TakeInfo]()
        async for part in self._replicas.render(order.request, files):
            if isinstance(part, bytes):
                take = last.takes[len(takes)]
                takes.append(await asyncio.to_thread(_store, part, take, order, len(takes) + 1))
            elif isinstance(part, PreviewPart):
                await self._preview(order, part)
            else:
                self._progress(order.job_id, last, part)
                last = part
        if last.state is JobState.FAILED:
            return protocol.Failed(order.job_id, last.error_code, last.error)
        if last.state is JobState.CANCELLED:
            return protocol.Failed(order.job_id, Cancelled.code, "cancelled")
        if last.state is not JobState.DONE or len(takes) < len(last.takes):
            raise ConnectionError("the replica stopped in the middle of an answer")
        return protocol.Done(order.job_id, tuple(takes))

    def _progress(self, job_id: str, before: Job, job: Job) -> None:
        if job.state is JobState.RUNNING:
            if before.state is not JobState.RUNNING:
                self._events.put_nowait(protocol.OnDevice((job_id,)))
            self._events.put_nowait(protocol.Step(job_id, job.step, job.num_steps))

    async def _preview(self, order: protocol.Render, part: PreviewPart) -> None:
        if order.preview is None:
            return
        try:
            await asyncio.to_thread(write_whole, order.preview, part.sound)
        except StorageFull as error:
            log.info("no preview of job %s: %s", order.job_id, error)
        else:
            self._events.put_nowait(protocol.Previewed(order.job_id, part.step))


def _contents(request: AnyResolved) -> dict[str, bytes]:
    """The files that a request names, by field."""
    found = {}
    for name in file_fields(type(request)):
        if path := getattr(request, name):
            found[name] = read_regular(Path(path), _MAX_CLIP_BYTES)
    return found


def _store(data: bytes, take: TakeInfo, order: protocol.Render, number: int) -> TakeInfo:
    """A take that came over the network, where the job wants it."""
    name = take_name(order.words, take.seed, order.job_id, number)
    path = order.folder / f"{name}{take.path.suffix}"
    write_whole(path, data)
    return msgspec.structs.replace(take, path=path)
