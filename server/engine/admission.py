"""What waits, what is in the worker, and who may go in next.

Live jobs are served before bulk jobs, owners in turn. A worker holds one job a priority, so that
a live one never waits for a bulk one; more only where their unet calls can be joined.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.jobs.job import Job
from server.jobs.queue import JobQueue
from server.model.manifest import Manifest
from server.requests.request import TextToAudio

__all__ = ["Rota", "call_size"]


class Rota:
    """Job ids in lines. ``frames_a_call`` is what the worker's device gains from joining."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._waiting = {True: JobQueue(), False: JobQueue()}
        self._known: dict[str, Job] = {}
        self.inside: dict[str, Job] = {}
        """In the worker, in the order of going in."""
        self.frames_a_call = 0

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._known and job_id not in self.inside

    def positions(self) -> Iterator[tuple[str, int]]:
        """Waiting jobs in the order of being served, with the number of jobs ahead."""
        waiting = (job_id for live in (True, False) for job_id in self._waiting[live])
        yield from ((job_id, k) for k, job_id in enumerate(waiting, len(self.inside)))

    def append(self, job: Job) -> None:
        """Last in its owner's line."""
        self._known[job.id] = job
        self._waiting[job.request.live].append(job.owner, job.id)

    def remove(self, job_id: str) -> None:
        """It waits no more."""
        self._waiting[self._known.pop(job_id).request.live].remove(job_id)

    def clear(self) -> None:
        """Nothing waits any more."""
        for queue in self._waiting.values():
            queue.clear()
        self._known = dict(self.inside)

    def admit(self) -> Job | None:
        """The next job that may go into the worker, which it is then in."""
        for live, queue in self._waiting.items():
            job_id = next(iter(queue), None)
            if job_id is not None and self._fits(job := self._known[job_id], live):
                queue.popleft()
                self.inside[job_id] = job
                return job
        return None

    def leave(self, job_id: str) -> None:
        """It is finished."""
        self.inside.pop(job_id, None)
        self._known.pop(job_id, None)

    def put_back(self, jobs: list[Job]) -> None:
        """They were in a worker that died, and are first in line again, in this order."""
        for job in reversed(jobs):
            del self.inside[job.id]
            self._known[job.id] = job
            self._waiting[job.request.live].appendleft(job.id)

    def _fits(self, job: Job, live: bool) -> bool:
        beside = [other for other in self.inside.values() if other.request.live is live]
        if not beside:
            return True
        if any(other.attempts for other in (job, *beside)):
            # A worker died on it: if that happens again there must be no doubt whose fault it is.
            return False
        sizes = [call_size(other, self._manifest) for other in (job, *beside)]
        if len({length for length, _ in sizes}) > 1 or not sizes[0][0]:
            return False
        return sum(frames for _, frames in sizes) <= self.frames_a_call


def call_size(job: Job, manifest: Manifest) -> tuple[int, int]:
    """Latent frames of a row of the job's unet calls, and of all rows; (0, 0) if not known before.

    It is known of new sounds that are one window long. Others are not joined.
    """
    request, defaults = job.request, manifest.defaults
    if not isinstance(request, TextToAudio) or request.loop:
        return 0, 0
    seconds = request.length_s(defaults.audio_length_in_s)
    if seconds > defaults.max_audio_length_in_s:
        return 0, 0
    frames = manifest.latent_frames(seconds)
    lanes = 2 if request.width else 1
    rows = lanes * (1 if request.guidance_scale == 1.0 else 2)
    return frames, frames * rows * request.num_renders
