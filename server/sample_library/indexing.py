"""Brings the catalogue in step with a folder: listens to what is new and forgets what is gone."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from server.errors import AudioLDMError, ModelError
from server.sample_library.catalogue import Catalogue, Heard
from server.sample_library.changes import changes_in
from server.sample_library.describer import Describer
from server.sample_library.sample import Sample
from server.sample_library.scan import Found
from server.sample_library.store import Folder, Problem

__all__ = ["Progress", "index_folder"]

_BATCH: Final = 32
_BATCH_S: Final = 2.0
"""A kill loses this much work at most."""
_UNPLACED: Final = -1
_LOOK_S: Final = 0.1

Check = Callable[[], None]
Result = Heard | Problem | Exception


@dataclass
class Progress:
    """How far indexing is; read from other threads."""

    waiting: int = 0
    indexed: int = 0
    failed: int = 0
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float | None:
        """Estimated seconds until the end; None before anything is known."""
        done = self.indexed + self.failed
        return (time.monotonic() - self.begun_s) / done * self.waiting if done else None


def index_folder(
    catalogue: Catalogue,
    folder: Folder,
    model_folder: Path,
    progress: Progress,
    *,
    processes: int,
    check: Check,
) -> None:
    """Index ``folder``; ``check`` is called again and again, and ends it by raising.

    Raises:
        OSError: the folder cannot be listed; what is known of it stays.
        StorageFull: the catalogue cannot be written.
        ModelError: the audio tower cannot be used.
    """
    changes = changes_in(catalogue, folder, check)
    catalogue.forget([sample.row for sample in changes.gone.values()])
    skipped = [Problem(seen.path, 0, 0, seen.reason) for seen in changes.skipped]
    catalogue.note_problems(folder, skipped, changes.no_problem)
    progress.waiting = len(changes.new)
    rows = {path: sample.row for path, sample in changes.known.items()}
    batch = _Batch(catalogue, folder)
    try:
        with _listening(changes.new, folder, rows, model_folder, processes) as results:
            for result in results:
                check()
                if result is None:
                    continue
                progress.waiting -= 1
                progress.failed += isinstance(result, Problem)
                progress.indexed += not isinstance(result, Problem)
                batch.add(result)
    finally:
        batch.write()


class _Batch:
    """Results that are written together."""

    def __init__(self, catalogue: Catalogue, folder: Folder) -> None:
        self._catalogue = catalogue
        self._folder = folder
        self._heard = list[Heard]()
        self._failed = list[Problem]()
        self._written_s = time.monotonic()

    def add(self, result: Heard | Problem) -> None:
        """Note a result, and write where it is time to."""
        if isinstance(result, Problem):
            self._failed.append(result)
        else:
            self._heard.append(result)
        many = len(self._heard) + len(self._failed) >= _BATCH
        if many or time.monotonic() - self._written_s > _BATCH_S:
            self.write()

    def write(self) -> None:
        """Write what there is."""
        heard, self._heard = self._heard, []
        failed, self._failed = self._failed, []
        self._written_s = time.monotonic()
        if heard:
            self._catalogue.put(heard)
        if failed:
            self._catalogue.note_problems(self._folder, failed)


@contextmanager
def _listening(
    files: list[Found], folder: Folder, rows: dict[Path, int], model_folder: Path, processes: int
) -> Iterator[Iterator[Heard | Problem | None]]:
    """Results in the order in which they come; None from time to time, so that one can stop."""
    waiting: queue.SimpleQueue[Found] = queue.SimpleQueue()
    for found in files:
        waiting.put(found)
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        describer = Describer(model_folder)
        try:
            while not stop.is_set():
                found = waiting.get_nowait()
                row = rows.get(found.path, _UNPLACED)
                results.put(_heard(describer, found, folder, row, stop))
        except queue.Empty:
            pass
        except Exception as error:
            results.put(error)
        finally:
            describer.close()

    threads = [
        threading.Thread(target=work, name=f"library-{number}", daemon=True)
        for number in range(min(processes, len(files)))
    ]
    for thread in threads:
        thread.start()
    try:
        yield _received(results, len(files))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _received(results: queue.SimpleQueue[Result], count: int) -> Iterator[Heard | Problem | None]:
    while count:
        try:
            result = results.get(timeout=_LOOK_S)
        except queue.Empty:
            yield None
            continue
        if isinstance(result, Exception):
            raise result
        count -= 1
        yield result


class _GivenUp(Exception):
    """Nobody waits for this file any more."""


def _heard(
    describer: Describer, found: Found, folder: Folder, row: int, stop: threading.Event
) -> Heard | Problem:
    """Listen to one file.

    Raises:
        ModelError: the audio tower cannot be used.
    """

    def poll() -> None:
        if stop.is_set():
            raise _GivenUp

    try:
        about, embedding = describer.describe(found.path, folder.path, poll)
        after = found.path.stat(follow_symlinks=False)
    except ModelError:
        raise
    except (AudioLDMError, OSError, _GivenUp) as error:
        return Problem(found.path, found.size, found.mtime_ns, str(error))
    if (after.st_size, after.st_mtime_ns) != (found.size, found.mtime_ns):
        # Another time stamp than the file's, so that it is listened to again.
        return Problem(found.path, found.size, 0, "it changed while it was read")
    sample = Sample(
        row=row,
        folder=folder.id,
        path=found.path,
        size=found.size,
        mtime_ns=found.mtime_ns,
        about=about,
    )
    return sample, embedding
