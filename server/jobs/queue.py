"""The order in which waiting jobs are rendered: live before bulk, and owners in turn by cost.

>>> queue = FairShare()
>>> for owner, job_id in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")]:
...     queue.append(owner, job_id, 1.0)
>>> list(queue)
['a1', 'b1', 'a2', 'a3']
>>> queue.popleft(), queue.popleft(), queue.popleft()
('a1', 'b1', 'a2')

Who asks for long jobs is served less often:

>>> queue = FairShare()
>>> for job_id, price in [("a1", 9), ("a2", 9), ("b0", 4), ("b1", 4), ("b2", 4), ("b3", 4)]:
...     queue.append(job_id[0], job_id, price)
>>> list(queue)
['a1', 'b0', 'b1', 'b2', 'a2', 'b3']
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Final

from server.jobs.job import Job

__all__ = ["FairShare", "JobQueue"]

_UNKNOWN_S: Final = 1.0
"""Price of a job that has none."""
_REMEMBERED: Final = 1024
"""Owners beyond this many are forgotten when they have nothing to wait for."""


class FairShare:
    """Waiting job ids; the owner who was served least is next, in turns where that is equal.

    What an owner was served is the price of its jobs. One who comes, or comes back, begins with
    what the last one served has had, so that nobody saves up turns. One owner's jobs are served
    first come, first served.
    """

    def __init__(self) -> None:
        self._front: deque[str] = deque()
        self._of_owner: dict[str, deque[tuple[str, float]]] = {}
        self._served: dict[str, tuple[float, int]] = {}
        self._now = 0.0
        self._turns = 0

    def __len__(self) -> int:
        return len(self._front) + sum(map(len, self._of_owner.values()))

    def __iter__(self) -> Iterator[str]:
        """In the order in which they will be served if nothing is added."""
        yield from tuple(self._front)
        turns = self._turns
        line = [(*self._served[owner], owner, 0) for owner, jobs in self._of_owner.items() if jobs]
        waiting = {owner: tuple(jobs) for owner, jobs in self._of_owner.items()}
        heapq.heapify(line)
        while line:
            served, _, owner, number = heapq.heappop(line)
            job_id, price = waiting[owner][number]
            yield job_id
            turns += 1
            if number + 1 < len(waiting[owner]):
                heapq.heappush(line, (served + price, turns, owner, number + 1))

    def append(self, owner: str, job_id: str, price: float) -> None:
        """Last among the owner's own."""
        if owner not in self._of_owner:
            self._turns += 1
            served, _ = self._served.get(owner, (0.0, 0))
            self._served[owner] = (max(served, self._now), self._turns)
        self._of_owner.setdefault(owner, deque()).append((job_id, price))

    def appendleft(self, job_id: str) -> None:
        """Before everybody else: a job that had begun."""
        self._front.appendleft(job_id)

    def popleft(self) -> str:
        """The next one; its owner is charged its price.

        Raises:
            LookupError: nothing is waiting.
        """
        if self._front:
            return self._front.popleft()
        if not self._of_owner:
            raise LookupError("nothing is waiting")
        owner = min(self._of_owner, key=self._served.__getitem__)
        job_id, price = self._of_owner[owner].popleft()
        self._now, _ = self._served[owner]
        self._turns += 1
        self._served[owner] = (self._now + price, self._turns)
        self._drop_if_empty(owner)
        return job_id

    def remove(self, job_id: str) -> None:
        """Take a job out, wherever it stands."""
        if job_id in self._front:
            self._front.remove(job_id)
            return
        for owner, waiting in self._of_owner.items():
            found = next((entry for entry in waiting if entry[0] == job_id), None)
            if found is not None:
                waiting.remove(found)
                self._drop_if_empty(owner)
                return

    def _drop_if_empty(self, owner: str) -> None:
        if not self._of_owner[owner]:
            del self._of_owner[owner]
        if len(self._served) > _REMEMBERED:
            gone = [o for o, (served, _) in self._served.items() if served <= self._now]
            for other in gone:
                if other not in self._of_owner:
                    del self._served[other]


class JobQueue:
    """The unfinished jobs of one model: those that wait, and those that a renderer has."""

    def __init__(self) -> None:
        self._queues = {True: FairShare(), False: FairShare()}
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
        self._queues[job.live].append(job.owner, job.id, job.price_s or _UNKNOWN_S)

    def put_back(self, job: Job) -> None:
        """First in line again: its renderer was lost."""
        self._taken.discard(job.id)
        self._waiting[job.id] = job
        self._queues[job.live].appendleft(job.id)

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
            self._queues[job.live].remove(job_id)
