"""The measures of all sounds as arrays, so that filters cost a search nothing."""

from __future__ import annotations

from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from server.sample_library.query import SampleSearch
from server.sample_library.sample import Character, Sample

__all__ = ["Columns"]

_CHARACTERS: Final[tuple[Character, ...]] = get_args(Character)
_FIRST_ROWS: Final = 1024
_RECORD: Final = np.dtype(
    [
        ("folder", np.int32),  # 0: the row is free
        ("seconds", np.float32),
        ("bpm", np.float32),
        ("note", np.float32),
        ("character", np.int8),
    ]
)


class Columns:
    """A record for each row of the matrix; NaN where a sound has no tempo or no note."""

    def __init__(self) -> None:
        self._records = np.zeros(_FIRST_ROWS, _RECORD)
        self.rows = 0
        """Rows that were ever used."""
        self._free: list[int] = []

    def take_row(self) -> int:
        """A row for a new sound."""
        return self._free.pop() if self._free else self.rows

    def put(self, sample: Sample) -> None:
        """Note a sound."""
        while sample.row >= len(self._records):
            self._records = np.concatenate((self._records, np.zeros_like(self._records)))
        about = sample.about
        self._records[sample.row] = (
            sample.folder,
            about.seconds,
            np.nan if about.bpm is None else about.bpm,
            np.nan if about.note is None else about.note,
            _CHARACTERS.index(about.character),
        )
        self.rows = max(self.rows, sample.row + 1)

    def clear(self, row: int) -> None:
        """Free a row."""
        self._records[row] = 0
        self._free.append(row)

    def find_free(self) -> None:
        """After all sounds were put: rows between them may be used again."""
        self._free = np.flatnonzero(self._records["folder"][: self.rows] == 0).tolist()

    def __len__(self) -> int:
        """How many sounds there are."""
        return self.rows - len(self._free)

    def matching(self, search: SampleSearch, folder: int | None) -> npt.NDArray[np.bool_]:
        """Which rows [rows] fulfil the conditions of ``search``, in ``folder`` or in all."""
        records = self._records[: self.rows]
        fits = records["folder"] > 0 if folder is None else records["folder"] == folder
        for name, low, high in (
            ("seconds", search.min_s, search.max_s),
            ("bpm", search.min_bpm, search.max_bpm),
        ):
            if low is not None:
                fits &= records[name] >= low
            if high is not None:
                fits &= records[name] <= high
        if search.character:
            fits &= records["character"] == _CHARACTERS.index(search.character)
        if (wanted := search.pitch_class) is not None:
            away = np.abs((records["note"] - wanted + 6.0) % 12.0 - 6.0)
            fits &= away <= 0.5
        return np.asarray(fits)
