"""A lock-free ring between one writer and one reader, in shared memory.

The writer fills a record and then moves the head; the reader takes a record and then moves the
tail. Neither waits. Each record carries its sequence number: a CPU may reorder stores, so a reader
may see the head before the record. It stops there and finds the record at its next visit.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["INDEX_BYTES", "Ring"]

INDEX_BYTES = 16
"""Size of the two positions of a ring."""

_HEAD, _TAIL = 0, 1


class Ring:
    """A single-producer single-consumer ring over ``records`` [capacity] of a structured dtype.

    Args:
        records: the storage; its first field must be an int64 named ``sequence``.
        index: int64 [2], head and tail; both count records since the start.

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
        """Number of records that fit."""
        return int(self._mask) + 1

    def __len__(self) -> int:
        """Number of records that have not been read."""
        return int(self._index[_HEAD]) - int(self._index[_TAIL])

    def push(self, *values: Any) -> bool:
        """Add one record made of ``values`` (without the sequence); False where the ring is full.

        Only one thread of one process may push.
        """
        head = int(self._index[_HEAD])
        if head - int(self._index[_TAIL]) > self._mask:
            return False
        self._records[head & self._mask] = (head, *values)
        # Taking and releasing a private lock is a memory barrier on every platform.
        with self._fence:
            self._index[_HEAD] = head + 1
        return True

    def push_unfenced(self, *values: Any) -> bool:
        """Like :meth:`push` without the memory barrier, for the audio callback."""
        head = int(self._index[_HEAD])
        if head - int(self._index[_TAIL]) > self._mask:
            return False
        self._records[head & self._mask] = (head, *values)
        self._index[_HEAD] = head + 1
        return True

    def pop(self) -> tuple[Any, ...] | None:
        """Remove and return the oldest record without its sequence; None where the ring is empty.

        Only one thread of one process may pop.
        """
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
        """Drop all records; only while neither side uses the ring."""
        self._index[_TAIL] = self._index[_HEAD]
