"""Takes by what they sound like: CLAP similarity of words with sounds, remembered in the journal.

A take is heard once, when somebody first searches by sound; its embedding stays in the table
``heard``, for the tower that heard it.
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
from server.jobs.clap_search import Ears
from server.jobs.journal import Journal

if TYPE_CHECKING:
    from server.model.text import Embedding

__all__ = ["SoundSearch"]

log = logging.getLogger("audioldm.library")

TakeId = tuple[str, int]
_AT_ONCE: Final = 500
"""Takes that one search listens to for the first time, the newest; the next one goes on."""
_BATCH: Final = 20
"""Written together: a search that is given up has not listened in vain."""


class SoundSearch:
    """Ranks takes by likeness with words; ``make_ears`` is called at the first search."""

    def __init__(self, journal: Journal, make_ears: Callable[[], Ears]) -> None:
        self._journal = journal
        self._make_ears = make_ears
        self._ears: Ears | None = None
        self._listening = asyncio.Lock()

    async def rank(self, words: str, takes: dict[TakeId, Path]) -> list[tuple[TakeId, float]]:
        """Which of ``takes`` (newest first) sound like ``words``, the most similar first, with
        their cosine similarity. Takes that cannot be heard are left out.

        Raises:
            ModelError: the model has no ears that work.
            StorageFull: the journal cannot be read or written.
        """
        async with self._listening:
            if self._ears is None:
                self._ears = await asyncio.to_thread(self._make_ears)
            ears = self._ears
            wanted = await asyncio.to_thread(ears.words, words)
            heard = await self._journal.query(lambda c: _read(c, ears.tower))
            unheard = [take for take in takes if take not in heard][:_AT_ONCE]
            for first in range(0, len(unheard), _BATCH):
                new = await asyncio.to_thread(_listen, ears, takes, unheard[first : first + _BATCH])
                await self._journal.query(partial(_write, tower=ears.tower, heard=new))
                heard |= new
        scores = [(take, float(heard[take] @ wanted)) for take in takes if len(heard.get(take, ()))]
        return sorted(scores, key=lambda scored: -scored[1])


def _listen(
    ears: Ears, takes: dict[TakeId, Path], unheard: list[TakeId]
) -> dict[TakeId, Embedding]:
    import numpy as np  # only where somebody searches by sound

    heard: dict[TakeId, Embedding] = {}
    for take in unheard:
        try:
            heard[take] = ears.sound(takes[take])
        except AudioLDMError as error:
            log.warning("take %s/%d cannot be heard: %s", *take, error)
            heard[take] = np.zeros(0, np.float32)
    return heard


def _read(connection: sqlite3.Connection, tower: str) -> dict[TakeId, Embedding]:
    import numpy as np

    rows = connection.execute(
        "SELECT job_id, number, embedding FROM heard WHERE tower = ?", (tower,)
    )
    return {(job_id, number): np.frombuffer(data, np.float32) for job_id, number, data in rows}


def _write(connection: sqlite3.Connection, tower: str, heard: dict[TakeId, Embedding]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO heard (job_id, number, tower, embedding) VALUES (?, ?, ?, ?)",
        [(*take, tower, embedding.tobytes()) for take, embedding in heard.items()],
    )
