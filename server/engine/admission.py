"""Which waiting job a renderer gets next, and how many it has at a time.

Live jobs are served before bulk jobs. A worker has one job of each priority, so that a live one
never waits for a bulk one; it has more only where their unet calls can be joined.
"""

from __future__ import annotations

from typing import Final

from server.jobs.job import Job
from server.jobs.queue import JobQueue
from server.model.manifest import Manifest
from server.requests.resolved import ResolvedText
from server.worker.protocol import Ready

__all__ = ["Admission", "ReplicaAdmission", "call_size"]

_BULK_A_REPLICA: Final = 2
"""The second may share the first one's unet calls, and is there when the first is done."""


class Admission:
    """The jobs that one worker process has.

    Args:
        manifest: its model.
        joining: False where jobs never share a unet call.
    """

    def __init__(self, manifest: Manifest, *, joining: bool = True) -> None:
        self._manifest = manifest
        self._joining = joining
        self._frames_a_call = 0
        self.admitted: dict[str, Job] = {}
        """By id, in the order of admission, as they were then."""

    def configure(self, ready: Ready) -> None:
        """A renderer has come up."""
        self._frames_a_call = self._joining * ready.frames_a_call

    def admit(self, queue: JobQueue) -> Job | None:
        """Take the next job out of ``queue``; None where there is none, or no room for it."""
        for live in (True, False):
            job = queue.first(live=live)
            if job is not None and self._has_room(job):
                self.admitted[job.id] = job
                return queue.take(live=live)
        return None

    def leave(self, job_id: str) -> None:
        """The renderer is through with a job."""
        self.admitted.pop(job_id, None)

    def _has_room(self, job: Job) -> bool:
        beside = [other for other in self.admitted.values() if other.live is job.live]
        if not beside:
            return True
        if any(other.attempts for other in (job, *beside)):
            # A worker died on it: if that happens again there must be no doubt whose fault it is.
            return False
        sizes = [call_size(other, self._manifest) for other in (job, *beside)]
        if len({length for length, _ in sizes}) > 1 or not sizes[0][0]:
            return False
        return sum(frames for _, frames in sizes) <= self._frames_a_call


class ReplicaAdmission(Admission):
    """The jobs that the replicas of a cluster have: each keeps a place for a live one."""

    def configure(self, ready: Ready) -> None:
        """The replicas have come up."""
        self._replicas = ready.replicas

    def _has_room(self, job: Job) -> bool:
        return len(self.admitted) < self._replicas * (_BULK_A_REPLICA + job.live)


def call_size(job: Job, manifest: Manifest) -> tuple[int, int]:
    """Latent frames of a row of the job's unet calls, and of all rows; (0, 0) if not known before.

    It is known of new sounds that are one window long. Others are not joined.
    """
    request = job.request
    if not isinstance(request, ResolvedText) or request.loop:
        return 0, 0
    if request.seconds > manifest.defaults.max_audio_length_in_s:
        return 0, 0
    frames = manifest.latent_frames(request.seconds)
    channels = 2 if request.width else 1
    rows = channels * (1 if request.guidance_scale == 1.0 else 2)
    return frames, frames * rows * request.num_renders
