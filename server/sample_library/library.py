"""The sample library of a running server: folders that are indexed, and the search in them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from server.errors import InvalidRequest
from server.sample_library.background import BackgroundIndex
from server.sample_library.catalogue import Catalogue
from server.sample_library.layout import Layout
from server.sample_library.query import SampleSearch, terms_of
from server.sample_library.sample import Sample
from server.sample_library.store import DATABASE, Folder, Problem

if TYPE_CHECKING:
    from server.jobs.sound_search import Towers
    from server.sample_library.catalogue import Embedding

__all__ = ["FolderState", "LibraryState", "SampleLibrary"]

_NOTHING: Final = (0, 0)
_KEPT_WORDS: Final = 500
"""Queries whose embeddings are kept."""


class FolderState(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the library and how far it is indexed."""

    path: str
    state: str
    """``indexed``, ``indexing``, ``waiting``, ``paused`` or ``missing``."""
    sounds: int
    problems: int
    """Files that could not be read."""


class LibraryState(msgspec.Struct, frozen=True, kw_only=True):
    """The library and the indexing that goes on."""

    sounds: int = 0
    folders: tuple[FolderState, ...] = ()
    waiting: int = 0
    """Files of the folder being indexed that are still to be listened to."""
    left_s: float | None = None
    """Estimated seconds until they are; None where that is not known."""


class SampleLibrary:
    """The library whose index lies in ``state``. It costs nothing until a folder is added.

    All methods belong to one asyncio loop.

    Args:
        state: the folder of the index.
        model_folder: its audio tower hears the sounds.
        towers: embed what is looked for.
    """

    def __init__(self, state: Path, model_folder: Path, towers: Towers) -> None:
        self._state = state
        self._model_folder = model_folder
        self.towers = towers
        self._asking = threading.Lock()
        self._embedded: dict[str, Embedding] = {}
        self._opening = asyncio.Lock()
        self._open: tuple[Catalogue, BackgroundIndex] | None = None

    async def start(self) -> None:
        """Go on where the last program stopped, if there is a library.

        Raises:
            Conflict: another program has it open.
        """
        if (self._state / DATABASE).exists():
            await self._opened()

    async def close(self) -> None:
        """Stop indexing and let the files go."""
        async with self._opening:
            if self._open is not None:
                catalogue, index = self._open
                self._open = None
                await index.close()
                await asyncio.to_thread(catalogue.close)

    # --- folders

    async def add(self, path: Path) -> FolderState:
        """Add a folder, or find it, and index it in the background.

        Raises:
            InvalidRequest: it is no folder, or lies in one of the library or around one.
        """
        real = await asyncio.to_thread(_real_folder, path)
        catalogue, index = await self._opened()
        for known in await asyncio.to_thread(catalogue.folders):
            inside = real.is_relative_to(known.path) or known.path.is_relative_to(real)
            if inside and known.path != real:
                raise InvalidRequest(f"{real} overlaps {known.path}, which is in the library")
        folder = await asyncio.to_thread(catalogue.add_folder, real)
        index.look_again()
        return await self._folder_state(folder)

    async def remove(self, path: Path) -> int:
        """Forget a folder; its files stay. Returns how many sounds it had.

        Raises:
            NotFound: it is not in the library.
        """
        catalogue, index = await self._opened()
        folder = await asyncio.to_thread(catalogue.folder, _named(path))
        index.stop_at(folder.path)
        count = await asyncio.to_thread(catalogue.remove_folder, folder)
        index.look_again()
        return count

    async def pause(self, path: Path, paused: bool) -> FolderState:
        """Stop to index a folder, or go on; what is indexed can be found meanwhile.

        Raises:
            NotFound: it is not in the library.
        """
        catalogue, index = await self._opened()
        folder = await asyncio.to_thread(catalogue.folder, _named(path))
        await asyncio.to_thread(catalogue.pause, folder, paused)
        index.stop_at(folder.path)
        index.look_again()
        return await self._folder_state(msgspec.structs.replace(folder, paused=paused))

    async def state(self) -> LibraryState:
        """The folders and how far they are indexed."""
        if self._open is None:
            return LibraryState()
        catalogue, index = self._open
        counts = await asyncio.to_thread(catalogue.counts)
        folders = await asyncio.to_thread(catalogue.folders)
        indexing = index.indexing is not None
        return LibraryState(
            sounds=len(catalogue),
            folders=tuple(_shown(folder, index, counts) for folder in folders),
            waiting=index.progress.waiting if indexing else 0,
            left_s=index.progress.left_s if indexing else None,
        )

    async def problems(self, path: Path) -> list[Problem]:
        """What could not be read in a folder.

        Raises:
            NotFound: it is not in the library.
        """
        catalogue, _ = await self._opened()
        folder = await asyncio.to_thread(catalogue.folder, _named(path))
        return await asyncio.to_thread(catalogue.problems, folder)

    # --- search

    async def search(self, search: SampleSearch) -> list[tuple[Sample, float | None]]:
        """Sounds that match, with their similarity; the nearest first, or the newest.

        Raises:
            InvalidRequest: the query or the note cannot be understood.
            NotFound: the folder is not in the library.
            UnreadableAudio: the sound that they should resemble cannot be read.
        """
        catalogue, _ = await self._opened()
        target = await asyncio.to_thread(self._target, search, catalogue)
        return await asyncio.to_thread(catalogue.nearest, search, target)

    async def sample(self, row: int) -> Sample:
        """The sound of an id.

        Raises:
            NotFound: there is none.
        """
        catalogue, _ = await self._opened()
        return await asyncio.to_thread(catalogue.sample, row)

    async def layout(self) -> Layout:
        """The map of all sounds."""
        catalogue, _ = await self._opened()
        return await asyncio.to_thread(catalogue.layout)

    def _target(self, search: SampleSearch, catalogue: Catalogue) -> Embedding | None:
        """The direction in which to look, [D]; None where nothing says one."""
        terms = terms_of(search.query)
        if not terms and not search.like:
            return None
        from server.model.text import unit

        # Two searches for the same words embed them once.
        with self._asking:
            parts = [term.weight * self._words(term.words) for term in terms]
        if search.like:
            parts.append(self._sound(_named(Path(search.like)), catalogue))
        return unit(sum(parts[1:], parts[0]))

    def _sound(self, path: Path, catalogue: Catalogue) -> Embedding:
        """The embedding of a file, or the mean of a folder."""
        return catalogue.centre_of(path) if path.is_dir() else self.towers.embed_file(path)

    def _words(self, words: str) -> Embedding:
        """The embedding of words, kept for the next search."""
        if words not in self._embedded:
            while len(self._embedded) >= _KEPT_WORDS:
                del self._embedded[next(iter(self._embedded))]
            self._embedded[words] = self.towers.embed_text(words)
        return self._embedded[words]

    async def _opened(self) -> tuple[Catalogue, BackgroundIndex]:
        async with self._opening:
            if self._open is None:
                catalogue = await asyncio.to_thread(self._make_catalogue)
                self._open = catalogue, BackgroundIndex(catalogue, self._model_folder)
            return self._open

    def _make_catalogue(self) -> Catalogue:
        from server.model.manifest import Manifest

        manifest = Manifest.load(self._model_folder)
        return Catalogue(self._state, manifest.audio_tower, manifest.embedding_dim)

    async def _folder_state(self, folder: Folder) -> FolderState:
        catalogue, index = await self._opened()
        return _shown(folder, index, await asyncio.to_thread(catalogue.counts))


def _shown(
    folder: Folder, index: BackgroundIndex, counts: dict[int, tuple[int, int]]
) -> FolderState:
    state = "waiting" if index.waits else "indexed"
    if folder.paused:
        state = "paused"
    elif folder.path in index.missing:
        state = "missing"
    elif folder.path == index.indexing:
        state = "indexing"
    sounds, problems = counts.get(folder.id, _NOTHING)
    return FolderState(path=str(folder.path), state=state, sounds=sounds, problems=problems)


def _real_folder(path: Path) -> Path:
    """The folder itself, not a link to it.

    Raises:
        InvalidRequest: it is none.
    """
    real = _named(path)
    if not real.is_dir():
        raise InvalidRequest(f"{path} is no folder; name one that holds sounds")
    return real


def _named(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be looked at: {error}") from error
