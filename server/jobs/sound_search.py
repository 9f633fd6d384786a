"""Search of takes by sound: CLAP similarity between words and takes.

The worker stores an embedding with each take. Takes without one, or with one of another tower, are
embedded at the first search and stored in the table ``heard``.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from server.errors import AudioLDMError, ModelError
from server.jobs.job import TakeInfo
from server.jobs.journal import Journal

if TYPE_CHECKING:
    from server.model.text import Embedding

__all__ = ["SoundSearch", "Towers"]

log = logging.getLogger("audioldm.library")

TakeId = tuple[str, int]


class Towers(Protocol):
    """What embeds words and sounds; both take long."""

    @property
    def audio_tower(self) -> str:
        """Identity of the audio tower; embeddings of different towers are not comparable."""

    def embed_text(self, text: str) -> Embedding:
        """The unit-length embedding [D] of ``text``."""

    def embed_file(self, path: Path) -> Embedding:
        """The unit-length embedding [D] of an audio file."""


_AT_ONCE: Final = 500
"""Takes that one search embeds at most, the newest first; the next search continues."""
_BATCH: Final = 20
"""Embeddings written together, so that an interrupted search loses few."""


class SoundSearch:
    """Ranks takes by similarity with words."""

    def __init__(self, journal: Journal, towers: Towers) -> None:
        self._journal = journal
        self._towers = towers
        self._searching = asyncio.Lock()

    async def rank(
        self, words: str, takes: Mapping[TakeId, TakeInfo]
    ) -> list[tuple[TakeId, float]]:
        """Rank takes by how much they sound like ``words``.

        Args:
            words: a description of a sound.
            takes: the takes to rank, newest first.

        Returns:
            takes with their cosine similarity, the most similar first; without those whose file
            cannot be embedded.

        Raises:
            ModelError: the model's CLAP towers cannot be loaded.
            StorageFull: the journal cannot be read or written.
        """
        async with self._searching:
            target = await asyncio.to_thread(self._towers.embed_text, words)
            embeddings = await self._embeddings(takes)
        # In the order of ``takes``, so that the newest of equally similar takes comes first.
        scores = [(t, float(embeddings[t] @ target)) for t in takes if len(embeddings.get(t, ()))]
        return sorted(scores, key=lambda scored: -scored[1])

    async def _embeddings(self, takes: Mapping[TakeId, TakeInfo]) -> dict[TakeId, Embedding]:
        """Embeddings of ``takes``: those of the worker, else those of the table, else new ones."""
        tower = await asyncio.to_thread(lambda: self._towers.audio_tower)
        found = _of_worker(takes, tower)
        missing = [take for take in takes if take not in found]
        if missing:
            stored = await self._journal.query(lambda c: _read(c, tower))
            found |= {take: stored[take] for take in missing if take in stored}
        missing = [take for take in missing if take not in found][:_AT_ONCE]
        for first in range(0, len(missing), _BATCH):
            batch = {take: takes[take] for take in missing[first : first + _BATCH]}
            new = await asyncio.to_thread(_embed, self._towers, batch)
            await self._journal.query(partial(_write, tower=tower, embeddings=new))
            found |= new
        return found


def _of_worker(takes: Mapping[TakeId, TakeInfo], tower: str) -> dict[TakeId, Embedding]:
    """The embeddings that came with the takes, where ``tower`` made them."""
    import numpy as np  # only where somebody searches by sound

    from server.model.text import unit

    return {
        take: unit(np.frombuffer(info.embedding, "<f2").astype(np.float32))
        for take, info in takes.items()
        if info.embedding and info.audio_tower == tower
    }


def _embed(towers: Towers, takes: Mapping[TakeId, TakeInfo]) -> dict[TakeId, Embedding]:
    """Embed the files of ``takes``; empty where that fails, so that it is not tried again."""
    import numpy as np

    embeddings: dict[TakeId, Embedding] = {}
    for take, info in takes.items():
        try:
            embeddings[take] = towers.embed_file(info.path)
        except ModelError:
            raise  # it says nothing of this file
        except AudioLDMError as error:
            log.warning("take %s/%d has no embedding: %s", *take, error)
            embeddings[take] = np.zeros(0, np.float32)
    return embeddings


def _read(connection: sqlite3.Connection, tower: str) -> dict[TakeId, Embedding]:
    import numpy as np

    rows = connection.execute(
        "SELECT job_id, number, embedding FROM heard WHERE tower = ?", (tower,)
    )
    return {(job_id, number): np.frombuffer(data, np.float32) for job_id, number, data in rows}


def _write(connection: sqlite3.Connection, tower: str, embeddings: dict[TakeId, Embedding]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO heard (job_id, number, tower, embedding) VALUES (?, ?, ?, ?)",
        [(*take, tower, embedding.tobytes()) for take, embedding in embeddings.items()],
    )
