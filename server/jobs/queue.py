"""Who is next: each owner in turn, so that nobody waits for another's hundred jobs.

>>> queue = JobQueue()
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

__all__ = ["JobQueue"]


class JobQueue:
    """Waiting job ids; one owner's are served first come, first served."""

    def __init__(self) -> None:
        self._front: deque[str] = deque()
        self._of_owner: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._front) + sum(map(len, self._of_owner.values()))

    def __contains__(self, job_id: str) -> bool:
        return any(job_id == waiting for waiting in self)

    def __iter__(self) -> Iterator[str]:
        """In the order in which they will be served if nothing is added."""
        yield from tuple(self._front)
        for round_ in zip_longest(*map(tuple, self._of_owner.values())):
            yield from (job_id for job_id in round_ if job_id is not None)

    def append(self, owner: str, job_id: str) -> None:
        """Last in the owner's own line."""
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
        owner, line = next(iter(self._of_owner.items()), ("", deque[str]()))
        job_id = line.popleft()
        self._of_owner.move_to_end(owner)
        if not line:
            del self._of_owner[owner]
        return job_id

    def remove(self, job_id: str) -> None:
        """Take a job out, wherever it stands."""
        if job_id in self._front:
            self._front.remove(job_id)
            return
        for owner, line in self._of_owner.items():
            if job_id in line:
                line.remove(job_id)
                if not line:
                    del self._of_owner[owner]
                return

    def clear(self) -> None:
        """Nothing is waiting any more."""
        self._front.clear()
        self._of_owner.clear()
