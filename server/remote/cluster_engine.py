"""The engine of a cluster: journal and queue here, replicas that render elsewhere.

A job goes to whichever replica is free. If that dies, with its node or alone, the job goes to
another with the same seed: same samples, and it is done once for whoever waits for it. Live jobs
go first, and each replica keeps a place for one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from server.engine.admission import ReplicaAdmission
from server.engine.executor import Executor, Retries, Shared
from server.engine.local import OneModelEngine
from server.jobs.book import JobBook
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.model.manifest import Manifest
from server.remote.cluster_renderer import Replicas, replica_renderer

__all__ = ["MAX_ATTEMPTS", "ClusterEngine"]

MAX_ATTEMPTS: Final = 5
"""A crash of the model stays inside a replica; losing this many replicas is no accident."""
_LOSSES: Final = Retries(MAX_ATTEMPTS, "{attempts} replicas were lost while they rendered this job")


class ClusterEngine(OneModelEngine):
    """Renders with ``replicas`` of a model.

    Args:
        folder: the model folder, for its manifest.
        takes_folder: where takes go.
        replicas: where jobs are rendered.
        max_queued: jobs that may wait.
        journal: where jobs outlive this process; the engine closes it.

    Raises:
        ModelError: the folder is no model folder.
    """

    def __init__(
        self,
        folder: Path,
        takes_folder: Path,
        replicas: Replicas,
        *,
        max_queued: int = 256,
        journal: Journal | None = None,
    ) -> None:
        manifest = Manifest.load(folder)

        def make_executors(shared: Shared) -> list[Executor]:
            admission, renderer = ReplicaAdmission(manifest), partial(replica_renderer, replicas)
            return [Executor("cluster", shared, admission, renderer, retries=_LOSSES)]

        book = JobBook(takes_folder, journal=journal, max_queued=max_queued)
        super().__init__(manifest, book, make_executors)

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; returns when its replica has let it go."""
        await super().cancel(job_id)
        return await self._book.ended(job_id)
