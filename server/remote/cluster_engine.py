"""The engine of a cluster: journal and queue here, replicas that render elsewhere.

A job goes to whichever replica is free. If that dies, with its node or alone, the job goes to
another with the same seed: same samples, and it is done once for whoever waits for it. Live jobs
go first, and each replica keeps a place for one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from server.engine.admission import ReplicaAdmission
from server.engine.executor import Executor, Retries, Shared
from server.engine.fleet import Fleet
from server.jobs.acceptance import NO_LIMITS, Limits
from server.jobs.job import Job
from server.jobs.journal import Journal
from server.model.manifest import Manifest
from server.remote.cluster_renderer import ReplicaRenderer, Replicas

__all__ = ["MAX_ATTEMPTS", "ClusterEngine"]

MAX_ATTEMPTS: Final = 5
"""A crash of the model stays inside a replica; losing this many replicas is no accident."""
_LOSSES: Final = Retries(MAX_ATTEMPTS, "{attempts} replicas were lost while they rendered this job")


class ClusterEngine(Fleet):
    """A fleet of one model, the one in ``folder``, whose renderer are the ``replicas``."""

    def __init__(
        self,
        folder: Path,
        takes_folder: Path,
        replicas: Replicas,
        *,
        max_queued: int = 256,
        limits: Limits = NO_LIMITS,
        journal: Journal | None = None,
    ) -> None:
        def make_executors(_: Path, manifest: Manifest, shared: Shared) -> list[Executor]:
            admission, renderer = ReplicaAdmission(manifest), ReplicaRenderer(replicas)
            return [Executor("cluster", shared, admission, renderer.running, retries=_LOSSES)]

        super().__init__(
            [folder],
            takes_folder,
            devices=(),
            max_queued=max_queued,
            limits=limits,
            journal=journal,
            make_executors=make_executors,
            stays_loaded=True,
        )

    async def cancel(self, job_id: str) -> Job:
        """Stop a job; returns when its replica has let it go."""
        await super().cancel(job_id)
        return await self._book.ended(job_id)
