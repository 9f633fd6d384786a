"""The embeddings of all sounds: one memory-mapped matrix of float16, a row for each sound."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from server.errors import StorageFull

__all__ = ["Vectors"]

_ROWS: Final = 4096
"""The file grows by this many rows."""

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


class Vectors:
    """The matrix [rows, dim] in the file at ``path``. Rows that were never written are zeros.

    Raises:
        StorageFull: the file cannot be opened.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self.path = path
        self._dim = dim
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)
            self._matrix = self._map(max(_ROWS, path.stat().st_size // (2 * dim)))
        except OSError as error:
            raise StorageFull(f"{path} cannot be used: {error.strerror}") from error

    def __len__(self) -> int:
        return len(self._matrix)

    def put(self, row: int, embedding: npt.NDArray[np.floating]) -> None:
        """Write one embedding [dim].

        Raises:
            StorageFull: the file cannot grow.
        """
        if row >= len(self._matrix):
            try:
                self._matrix.flush()
                self._matrix = self._map(-(-(row + 1) // _ROWS) * _ROWS)
            except OSError as error:
                raise StorageFull(f"{self.path} cannot grow: {error.strerror}") from error
        self._matrix[row] = embedding

    def __getitem__(self, rows: Rows) -> npt.NDArray[np.float32]:
        """The embeddings [n, dim] of ``rows``."""
        return np.asarray(self._matrix[rows], np.float32)

    def flush(self) -> None:
        """Return when what was put is in the file."""
        self._matrix.flush()

    def scores(self, target: npt.NDArray[np.floating], rows: int) -> Scores:
        """Inner products of ``target`` [dim] with the first ``rows`` rows: [rows]."""
        import simsimd

        if not rows:
            return np.zeros(0, np.float32)
        asked = np.asarray(target, np.float16)[None]
        products = simsimd.cdist(asked, self._matrix[:rows], metric="dot")
        return np.asarray(products, np.float32).reshape(-1)

    def remove(self) -> None:
        """Delete the file."""
        del self._matrix
        self.path.unlink(missing_ok=True)

    def _map(self, rows: int) -> np.memmap[tuple[int, int], np.dtype[np.float16]]:
        with self.path.open("r+b") as file:
            file.truncate(rows * self._dim * 2)
        return np.memmap(self.path, np.float16, "r+", shape=(rows, self._dim))
