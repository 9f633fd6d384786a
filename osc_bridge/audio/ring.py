"""Lock-free ring between one writer and one reader, in memory that both can see.

The writer fills a record and then moves the head; the reader takes records and then moves the
tail. Neither waits: a full ring refuses, an empty one gives nothing. Each record carries its own
running number, so that a reader that sees the head before the record (a CPU may reorder stores)
stops there and finds it complete at its next visit.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INDEX_BYTES", "Ring"]

INDEX_BYTES = 16
"""Room that the two positions of a ring need."""

_HEAD, _TAIL = 0, 1


class Ring:
    """A single-producer single-consumer ring over ``records`` [capacity] of a structured dtype.

    Args:
        records: the storage; its first field must be an int64 named ``sequence``.
        index: int64 [2], head and tail, both counting records since the beginning.

    Raises:
        ValueError: the capacity is not a power of two.
    """

    def __init__(self, records: npt.NDArray[np.void], index: npt.NDArray[np.int64]) -> None:
        capacity = records.shape[0]
        if capacity < 1 or capacity & (capacity - 1):
            raise ValueError(f"capacity {capacity} is not a power of two")
        self._records = records
        self._sequence = records["sequence"]
        self._index = index
        self._mask = capacity - 1
        self._fence = threading.Lock()

    @property
    def capacity(self) -> int:
        """How many records fit."""
        return int(self._mask) + 1

    def __len__(self) -> int:
        """Records waiting to be read."""
        return int(self._index[_HEAD]) - int(self._index[_TAIL])

    def push(self, *values: Any) -> bool:
        """Add one record made of ``values`` (without the sequence); False where the ring is full.

        Only one thread of one process may push.
        """
        head = int(self._index[_HEAD])
        if head - int(self._index[_TAIL]) > self._mask:
            return False
        self._records[head & self._mask] = (head, *values)
        # Taking and leaving a lock that nobody else knows is a memory barrier on every platform.
        with self._fence:
            self._index[_HEAD] = head + 1
        return True

    def push_unfenced(self, *values: Any) -> bool:
        """Like :meth:`push`, for the audio callback: touches no lock at all."""
        head = int(self._index[_HEAD])
        if head - int(self._index[_TAIL]) > self._mask:
            return False
        self._records[head & self._mask] = (head, *values)
        self._index[_HEAD] = head + 1
        return True

    def pop(self) -> tuple[Any, ...] | None:
        """The oldest record without its sequence, or None. Only one thread may pop."""
        tail = int(self._index[_TAIL])
        if tail == int(self._index[_HEAD]):
            return None
        slot = tail & self._mask
        record: Any = self._records.item(slot)
        if record[0] != tail:
            return None
        self._index[_TAIL] = tail + 1
        return tuple(record[1:])

    def clear(self) -> None:
        """Forget what is waiting; only while neither side is at work."""
        self._index[_TAIL] = self._index[_HEAD]
