"""Search by sound: the CLAP similarity of words with takes.

A take is embedded once, when somebody first searches by sound. Its embedding stays in the
journal, in the table ``heard``, for the tower that made it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from server.errors import AudioLDMError
from server.jobs.clap_search import ClapTowers
from server.jobs.journal import Journal

if TYPE_CHECKING:
    from server.model.text import Embedding

__all__ = ["SoundSearch"]

log = logging.getLogger("audioldm.library")

TakeId = tuple[str, int]
_AT_ONCE: Final = 500
"""Takes that one search embeds, the newest; the next search goes on."""
_BATCH: Final = 20
"""Written together: what a search that is given up has embedded is kept."""


class SoundSearch:
    """Ranks takes by likeness with words; ``make_towers`` is called at the first search."""

    def __init__(self, journal: Journal, make_towers: Callable[[], ClapTowers]) -> None:
        self._journal = journal
        self._make_towers = make_towers
        self._towers: ClapTowers | None = None
        self._searching = asyncio.Lock()

    async def rank(self, words: str, takes: dict[TakeId, Path]) -> list[tuple[TakeId, float]]:
        """Which of ``takes`` (newest first) sound like ``words``, the most similar first, with
        their cosine similarity. Takes that cannot be read are left out.

        Raises:
            ModelError: the CLAP towers cannot be loaded.
            StorageFull: the journal cannot be read or written.
        """
        async with self._searching:
            if self._towers is None:
                self._towers = await asyncio.to_thread(self._make_towers)
            towers = self._towers
            wanted = await asyncio.to_thread(towers.words, words)
            embeddings = await self._journal.query(lambda c: _read(c, towers.tower))
            missing = [take for take in takes if take not in embeddings][:_AT_ONCE]
            for first in range(0, len(missing), _BATCH):
                new = await asyncio.to_thread(
                    _embed, towers, takes, missing[first : first + _BATCH]
                )
                await self._journal.query(partial(_write, tower=towers.tower, embeddings=new))
                embeddings |= new
        readable = [take for take in takes if len(embeddings.get(take, ()))]
        scores = [(take, float(embeddings[take] @ wanted)) for take in readable]
        return sorted(scores, key=lambda scored: -scored[1])


def _embed(
    towers: ClapTowers, takes: dict[TakeId, Path], missing: list[TakeId]
) -> dict[TakeId, Embedding]:
    import numpy as np  # only where somebody searches by sound

    embeddings: dict[TakeId, Embedding] = {}
    for take in missing:
        try:
            embeddings[take] = towers.sound(takes[take])
        except AudioLDMError as error:
            log.warning("take %s/%d cannot be embedded: %s", *take, error)
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
