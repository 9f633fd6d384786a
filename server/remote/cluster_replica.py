"""One replica of a cluster: an engine of its own, fed over the network.

It is a :class:`server.engine.local.LocalEngine` without a journal. So each node joins unet calls,
prefers live jobs, watches its worker and tries a job twice, as a single machine does. Clips and
takes travel as bytes, because nodes share no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from server.engine.local import LocalEngine
from server.errors import AudioLDMError, EngineUnavailable, ModelError
from server.jobs.job import Job, JobState
from server.model.manifest import Manifest
from server.requests.resolved import AnyResolved

__all__ = ["Part", "PreviewPart", "Replica"]


class PreviewPart(msgspec.Struct, frozen=True):
    """A preview's WAV file, and the steps that it has had."""

    step: int
    sound: bytes


Part = Job | PreviewPart | bytes
"""What a render streams: snapshots of the job and previews, then the files of its takes."""


class Replica:
    """Renders with the model folder ``model``, whose digest must be ``digest``."""

    def __init__(self, model: str, digest: str, device: str, threads: int) -> None:
        if (found := Manifest.load(Path(model)).digest) != digest:
            raise ModelError(f"{model} is {found[:12]} on this node and {digest[:12]} on the head")
        self._folder = tempfile.TemporaryDirectory(prefix="audioldm-replica-")
        self._engine = LocalEngine(
            Path(model), Path(self._folder.name), device=device, threads=threads
        )
        self._starting: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Return when the model is loaded.

        Raises:
            ModelError: it cannot be.
        """
        if self._starting is None:
            self._starting = asyncio.create_task(self._engine.start())
        await asyncio.shield(self._starting)

    async def check_health(self) -> None:
        """Ray Serve asks regularly, and replaces a replica that raises.

        Raises:
            EngineUnavailable, ModelError: it cannot render, and will not by itself.
        """
        await self.ready()
        if self._engine.status().state == "down":
            raise EngineUnavailable("the engine of this replica is down")

    async def render(self, request: AnyResolved, files: Mapping[str, bytes]) -> AsyncIterator[Part]:
        """Render ``request``, its file fields named in ``files`` replaced by their contents.

        A reader that stops reading cancels the job.
        """
        await self.ready()
        changed = asyncio.Event()
        with tempfile.TemporaryDirectory(dir=self._folder.name) as name:
            folder = Path(name)
            try:
                there = await asyncio.to_thread(_unpacked, request, files, folder)
                job = await self._engine.submit(there, folder=folder)
            except AudioLDMError as error:
                failed = JobState.FAILED
                yield Job(
                    id="", request=request, state=failed, error_code=error.code, error=str(error)
                )
                return
            unlisten = self._engine.listen(lambda j: changed.set() if j.id == job.id else None)
            try:
                previewed = 0
                while not (job := self._engine.job(job.id)).state.final:
                    changed.clear()
                    yield job
                    if job.preview is not None and job.preview.step != previewed:
                        previewed = job.preview.step
                        with contextlib.suppress(FileNotFoundError):  # the job has just ended
                            sound = await asyncio.to_thread(job.preview.path.read_bytes)
                            yield PreviewPart(previewed, sound)
                    await changed.wait()
                yield job
                for take in job.takes:
                    yield await asyncio.to_thread(take.path.read_bytes)
            finally:
                unlisten()
                await self._engine.cancel(job.id)
                await self._engine.ended(job.id)

    async def close(self) -> None:
        """Stop rendering."""
        await self._engine.close()
        self._folder.cleanup()


def _unpacked(request: AnyResolved, files: Mapping[str, bytes], folder: Path) -> AnyResolved:
    paths = {}
    for field, data in files.items():
        # The ending is kept: it decides the type of a take that is delivered as its clip was.
        path = folder / f"{field}{Path(getattr(request, field)).suffix}"
        path.write_bytes(data)
        paths[field] = str(path)
    return msgspec.structs.replace(request, **paths)
