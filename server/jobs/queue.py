"""The order in which waiting jobs are rendered: live before bulk, and owners in turn.

>>> queue = RoundRobin()
>>> for owner, job_id in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")]:
...     queue.append(owner, job_id)
>>> list(queue)
['a1', 'b1', 'a2', 'a3']
>>> queue.popleft(), queue.popleft(), queue.popleft()
('a1', 'b1', 'a2')
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import zip_longest

from server.jobs.job import Job

__all__ = ["JobQueue", "RoundRobin"]


class RoundRobin:
    """Waiting job ids; owners take turns, and one owner's are served first come, first served."""

    def __init__(self) -> None:
        self._front: deque[str] = deque()
        self._of_owner: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._front) + sum(map(len, self._of_owner.values()))

    def __iter__(self) -> Iterator[str]:
        """In the order in which they will be served if nothing is added."""
        yield from tuple(self._front)
        for round_ in zip_longest(*map(tuple, self._of_owner.values())):
            yield from (job_id for job_id in round_ if job_id is not None)

    def append(self, owner: str, job_id: str) -> None:
        """Last among the owner's own."""
        self._of_owner.setdefault(owner, deque()).append(job_id)

    def appendleft(self, job_id: str) -> None:
        """Before everybody else: a job that had begun."""
        self._front.appendleft(job_id)

    def popleft(self) -> str:
        """The next one; its owner goes to the end of the round.

        Raises:
            LookupError: nothing is waiting.
        """
        if self._front:
            return self._front.popleft()
        owner, waiting = next(iter(self._of_owner.items()), ("", deque[str]()))
        job_id = waiting.popleft()
        self._of_owner.move_to_end(owner)
        if not waiting:
            del self._of_owner[owner]
        return job_id

    def remove(self, job_id: str) -> None:
        """Take a job out, wherever it stands."""
        if job_id in self._front:
            self._front.remove(job_id)
            return
        for owner, waiting in self._of_owner.items():
            if job_id in waiting:
                waiting.remove(job_id)
                if not waiting:
                    del self._of_owner[owner]
                return


class JobQueue:
    """The unfinished jobs of one model: those that wait, and those that a renderer has."""

    def __init__(self) -> None:
        self._queues = {True: RoundRobin(), False: RoundRobin()}
        self._waiting: dict[str, Job] = {}
        self._taken: set[str] = set()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __contains__(self, job_id: str) -> bool:
        """Whether the job waits."""
        return job_id in self._waiting

    @property
    def num_unfinished(self) -> int:
        """Jobs that wait or are with a renderer."""
        return len(self._waiting) + len(self._taken)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Their ids; those that wait in the order of being served."""
        return (*self._taken, *(job_id for job_id, _ in self.positions()))

    def positions(self) -> Iterator[tuple[str, int]]:
        """Waiting jobs in the order of being served, with the number of jobs ahead."""
        waiting = (job_id for queue in self._queues.values() for job_id in queue)
        yield from ((job_id, k) for k, job_id in enumerate(waiting, len(self._taken)))

    def append(self, job: Job) -> None:
        """Last among its owner's jobs."""
        self._waiting[job.id] = job
        self._queues[job.request.live].append(job.owner, job.id)

    def put_back(self, job: Job) -> None:
        """First in line again: its renderer was lost."""
        self._taken.discard(job.id)
        self._waiting[job.id] = job
        self._queues[job.request.live].appendleft(job.id)

    def first(self, *, live: bool) -> Job | None:
        """The live or bulk job that is next."""
        job_id = next(iter(self._queues[live]), None)
        return None if job_id is None else self._waiting[job_id]

    def take(self, *, live: bool) -> Job:
        """The live or bulk job that is next; a renderer has it from now on.

        Raises:
            LookupError: none is waiting.
        """
        job = self._waiting.pop(self._queues[live].popleft())
        self._taken.add(job.id)
        return job

    def remove(self, job_id: str) -> None:
        """The job is finished, or nobody wants it any more."""
        self._taken.discard(job_id)
        if job := self._waiting.pop(job_id, None):
            self._queues[job.request.live].remove(job_id)
