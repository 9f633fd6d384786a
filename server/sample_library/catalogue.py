"""All that is known of the sounds: database, embeddings and measures, kept in step."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from server.errors import NotFound
from server.sample_library.columns import Columns
from server.sample_library.layout import Layout, layout_of
from server.sample_library.query import SampleSearch
from server.sample_library.sample import Sample
from server.sample_library.store import DATABASE, Folder, Problem, Store
from server.sample_library.vectors import Vectors

__all__ = ["Catalogue", "Heard"]

Embedding = npt.NDArray[np.float32]
Heard = tuple[Sample, Embedding]
_REST: Final = 20.0
"""A layout is kept for so many times as long as it took to compute."""
_PARTS: Final = 16
"""A mean is computed in so many parts, which bounds its memory."""
_CONSIDERED: Final = 400
"""Nearest sounds among which diverse ones are chosen."""


class Catalogue:
    """The library's files in ``folder``, for embeddings [dim] of one audio tower.

    Embeddings of different towers are not comparable: with another tower than last time, all
    sounds are forgotten, and indexed again. Methods may be called from any thread.

    Raises:
        Conflict: another process has it open.
        StorageFull: a file cannot be used.
    """

    def __init__(self, folder: Path, tower: str, dim: int) -> None:
        self.tower = tower
        """Identity of the audio tower."""
        self._lock = threading.RLock()
        self._store = Store(folder / DATABASE)
        name = hashlib.blake2b(f"{tower} {dim}".encode(), digest_size=6).hexdigest()
        if self._store.setting("vectors") != name:
            self._forget_other_tower(folder, name)
        self._vectors = Vectors(folder / f"samples-{name}.f16", dim)
        self._columns = Columns()
        for sample in self._store.samples():
            self._columns.put(sample)
        self._columns.find_free()
        self._layout = layout_of(self._vectors, np.zeros(0, np.intp))
        self._layout_good_until_s = 0.0
        self._changed = True

    def __len__(self) -> int:
        return len(self._columns)

    def close(self) -> None:
        """Let the files go."""
        with self._lock:
            self._vectors.flush()
            self._store.close()

    # --- what is in it

    def put(self, heard: Iterable[Heard]) -> None:
        """Add sounds, or replace those whose ``row`` is known; a negative one is chosen here.

        Raises:
            StorageFull: they cannot be written.
        """
        with self._lock:
            present = {folder.id for folder in self._store.folders()}
            placed = []
            for sample, embedding in heard:
                if sample.folder not in present:
                    continue  # removed while it was indexed
                row = sample.row if sample.row >= 0 else self._columns.take_row()
                self._vectors.put(row, embedding)
                placed.append(msgspec.structs.replace(sample, row=row))
                self._columns.put(placed[-1])
            self._vectors.flush()
            self._store.put(placed)
            self._changed = True

    def move(self, sample: Sample, folder: Folder, path: Path, mtime_ns: int) -> None:
        """Note that a known sound lies elsewhere."""
        moved = msgspec.structs.replace(sample, folder=folder.id, path=path, mtime_ns=mtime_ns)
        with self._lock:
            self._columns.put(moved)
            self._store.put([moved])

    def forget(self, rows: Iterable[int]) -> None:
        """Delete sounds."""
        gone = list(rows)
        with self._lock:
            self._store.forget(gone)
            self._clear(gone)

    def samples_in(self, folder: Folder) -> dict[Path, Sample]:
        """The sounds of a folder, by path."""
        with self._lock:
            return {sample.path: sample for sample in self._store.samples(folder.id)}

    def unreadable(self, folder: Folder) -> dict[Path, tuple[int, int]]:
        """Size and time of the files of a folder that could not be read."""
        return {problem.path: (problem.size, problem.mtime_ns) for problem in self.problems(folder)}

    def problems(self, folder: Folder) -> list[Problem]:
        """What could not be read in a folder."""
        with self._lock:
            return self._store.problems(folder.id)

    def note_problems(
        self, folder: Folder, problems: Iterable[Problem], solved: Iterable[Path] = ()
    ) -> None:
        """Note files that cannot be read, and forget others."""
        with self._lock:
            self._store.note_problems(folder.id, problems, solved)

    def add_folder(self, path: Path) -> Folder:
        """Add a folder, or find it where it is there already."""
        with self._lock:
            return self._store.add_folder(path)

    def folders(self) -> list[Folder]:
        """All folders."""
        with self._lock:
            return self._store.folders()

    def folder(self, path: Path) -> Folder:
        """The folder at ``path``.

        Raises:
            NotFound: it is not in the library.
        """
        with self._lock:
            return self._store.folder(path)

    def counts(self) -> dict[int, tuple[int, int]]:
        """Sounds and problems of each folder."""
        with self._lock:
            return self._store.counts()

    def pause(self, folder: Folder, paused: bool) -> None:
        """Stop to index a folder, or go on."""
        with self._lock:
            self._store.pause(folder, paused)

    def remove_folder(self, folder: Folder) -> int:
        """Forget a folder; returns how many sounds it had. No file is touched."""
        with self._lock:
            rows = self._store.remove_folder(folder)
            self._clear(rows)
            return len(rows)

    def sample(self, row: int) -> Sample:
        """One sound.

        Raises:
            NotFound: there is none in this row.
        """
        with self._lock:
            return self._store.sample(row)

    # --- what is found

    def nearest(
        self, search: SampleSearch, target: Embedding | None
    ) -> list[tuple[Sample, float | None]]:
        """Sounds that match, with their cosine similarity to ``target``, the nearest first.

        Raises:
            InvalidRequest: the search names no note.
            NotFound: its folder is not in the library.
        """
        with self._lock:
            folder = self._store.folder(Path(search.folder)).id if search.folder else None
            fits = self._columns.matching(search, folder)
            if target is None:
                rows = np.flatnonzero(fits)[::-1]
                chosen = rows[search.offset : search.offset + search.limit]
                return [(self._store.sample(int(row)), None) for row in chosen]
            scores = self._vectors.scores(target, len(fits))
            scores[~fits] = -np.inf
            rows = self._best(scores, search, int(fits.sum()))
            return [(self._store.sample(int(row)), float(scores[row])) for row in rows]

    def layout(self) -> Layout:
        """The map of all sounds; computed again after a change, a twentieth of the time at most."""
        with self._lock:
            began_s = time.monotonic()
            if self._changed and began_s >= self._layout_good_until_s:
                rows = np.flatnonzero(self._columns.matching(SampleSearch(), None))
                self._layout, self._changed = layout_of(self._vectors, rows), False
                now_s = time.monotonic()
                self._layout_good_until_s = now_s + _REST * (now_s - began_s)
            return self._layout

    def centre_of(self, path: Path) -> Embedding:
        """The mean embedding [dim] of the sounds in a folder, or in a part of one.

        Raises:
            NotFound: there are none.
        """
        with self._lock:
            rows = np.array(self._store.rows_under(path), np.intp)
            if not len(rows):
                raise NotFound(f"{path} holds no sound of the library; add the folder first")
            total = sum(self._vectors[part].sum(axis=0) for part in np.array_split(rows, _PARTS))
            return np.asarray(total / len(rows), np.float32)

    def _clear(self, rows: list[int]) -> None:
        for row in rows:
            self._columns.clear(row)
        if rows:
            self._changed = True

    def _best(
        self, scores: npt.NDArray[np.float32], search: SampleSearch, matching: int
    ) -> npt.NDArray[np.intp]:
        wanted = min(search.offset + search.limit, matching)
        considered = min(max(wanted, _CONSIDERED if search.diverse else 0), matching)
        if not considered:
            return np.zeros(0, np.intp)
        near = np.argpartition(-scores, considered - 1)[:considered]
        near = near[np.argsort(-scores[near], kind="stable")]
        if search.diverse:
            near = near[_diverse(self._vectors[near], scores[near], search.diverse, wanted)]
        return near[search.offset : wanted]

    def _forget_other_tower(self, folder: Path, name: str) -> None:
        self._store.forget_all()
        for old in folder.glob("samples-*.f16"):
            old.unlink(missing_ok=True)
        self._store.set("vectors", name)


def _diverse(
    embeddings: Embedding, scores: npt.NDArray[np.float32], diverse: float, wanted: int
) -> list[int]:
    """Indices by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998)."""
    chosen = [0]
    nearest = embeddings @ embeddings[0]
    while len(chosen) < wanted:
        worth = (1.0 - diverse) * scores - diverse * nearest
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
        nearest = np.maximum(nearest, embeddings @ embeddings[chosen[-1]])
    return chosen
