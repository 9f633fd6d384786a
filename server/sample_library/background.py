"""Indexes the folders of the library one after the other, and again when something changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from server.errors import AudioLDMError
from server.sample_library.catalogue import Catalogue
from server.sample_library.indexing import Progress, index_folder
from server.sample_library.store import Folder
from server.supervision import SupervisedTask

__all__ = ["BackgroundIndex"]

log = logging.getLogger("audioldm.library")

_MOST_PROCESSES: Final = 4
_RESCAN_S: Final = 600.0
"""Also where the system tells no changes."""
_SETTLE_MS: Final = 1600
_REST: Final = 4.0
"""Indexing rests for so many times as long as it took, and no longer than this:"""
_MOST_REST_S: Final = 10.0


class _Stopped(Exception):
    """Indexing was paused or ended."""


class BackgroundIndex:
    """Keeps ``catalogue`` in step with its folders, as long as it is not closed."""

    def __init__(self, catalogue: Catalogue, model_folder: Path) -> None:
        self._catalogue = catalogue
        self._model_folder = model_folder
        self.progress = Progress()
        """Of the folder that is being indexed, or was last."""
        self.indexing: Path | None = None
        """The folder that is being indexed."""
        self.missing: set[Path] = set()
        """Folders that could not be listed: a disk that is not there now may be there later."""
        self._changed = asyncio.Event()
        self._asked = asyncio.Event()
        self._folders_changed = asyncio.Event()
        self._stop = threading.Event()
        self._work: asyncio.Future[None] | None = None
        self.look_again()
        self._tasks = [
            SupervisedTask("library index", self._index, expected=(AudioLDMError,)),
            SupervisedTask("library watch", self._watch, expected=(OSError,)),
        ]

    @property
    def waits(self) -> bool:
        """Whether there is something left to be looked at."""
        return self._changed.is_set() or self.indexing is not None

    def look_again(self) -> None:
        """Compare all folders with what is known of them."""
        self._changed.set()
        self._asked.set()
        self._folders_changed.set()

    def stop_at(self, folder: Path) -> None:
        """Stop where ``folder`` is being indexed; :meth:`look_again` goes on with the others."""
        if self.indexing == folder:
            self._stop.set()

    async def close(self) -> None:
        """Return when nothing uses the catalogue any more."""
        self._stop.set()
        for task in self._tasks:
            await task.stop()
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)

    async def _index(self) -> None:
        rest_s = 0.0
        while True:
            await self._changed.wait()
            # A file that grows all the time is no reason to list the folders all the time.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), rest_s)
            self._asked.clear()
            self._changed.clear()
            self._stop.clear()
            began_s = time.monotonic()
            for folder in await self._folders():
                if not self._stop.is_set():
                    await self._index_one(folder)
            rest_s = min(_MOST_REST_S, _REST * (time.monotonic() - began_s))

    async def _index_one(self, folder: Folder) -> None:
        self.progress, self.indexing = Progress(), folder.path
        self.missing.discard(folder.path)
        try:
            # A cancelled task leaves its thread behind, which close() waits for.
            self._work = asyncio.ensure_future(asyncio.to_thread(self._indexed, folder))
            await asyncio.shield(self._work)
        except OSError as error:
            self.missing.add(folder.path)
            log.warning("%s is not indexed: %s", folder.path, error)
        except _Stopped:
            log.info("indexing of %s stopped", folder.path)
        finally:
            self.indexing = None

    def _indexed(self, folder: Folder) -> None:
        progress = self.progress
        index_folder(
            self._catalogue,
            folder,
            self._model_folder,
            progress,
            processes=min(_MOST_PROCESSES, os.cpu_count() or 1),
            check=self._check,
        )
        if progress.indexed or progress.failed:
            log.info(
                "%s: %d sounds indexed, %d files could not be read",
                *(folder.path, progress.indexed, progress.failed),
            )

    def _check(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    async def _watch(self) -> None:
        while True:
            self._folders_changed.clear()
            folders = [folder.path for folder in await self._folders()]
            try:
                async for _ in _changes(folders, self._folders_changed):
                    self._changed.set()
            except* RuntimeError as errors:
                # watchfiles cannot tell of names that are not UTF-8; what changed is looked for.
                log.debug("the watch of the library begins again: %s", errors.exceptions)
                self._changed.set()
                await asyncio.sleep(_SETTLE_MS / 1000)

    async def _folders(self) -> list[Folder]:
        """Those that are not paused."""
        folders = await asyncio.to_thread(self._catalogue.folders)
        return [folder for folder in folders if not folder.paused]


async def _changes(folders: list[Path], until: asyncio.Event) -> AsyncIterator[None]:
    """Yield when something changes in ``folders``, and every ten minutes all the same."""
    import watchfiles

    present = [folder for folder in folders if folder.is_dir()]
    if not present:
        try:
            await asyncio.wait_for(until.wait(), _RESCAN_S)
        except TimeoutError:
            yield None
        return
    async for _ in watchfiles.awatch(
        *present,
        step=_SETTLE_MS,
        stop_event=until,
        rust_timeout=round(_RESCAN_S * 1000),
        yield_on_timeout=True,
    ):
        yield None
