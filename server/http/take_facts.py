"""What a take's card tells besides its length: tempo, note or key, and loudness."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path
from typing import Final

import msgspec

from server.audio.fence.reading import read_sound
from server.audio.waveform import Waveform
from server.jobs.library import StoredTake
from server.note_names import nearest_note
from server.render.finishing.loudness import integrated_lufs
from server.render.finishing.note_tempo_check import IN_KEY
from server.requests.notation import read_notation
from server.sample_library.describe import bpm_of, character_of, note_of
from server.sample_library.sample import Character

__all__ = ["FactsOfTakes", "TakeFacts"]

_RATE: Final = 16000
_LISTENED_S: Final = 60.0
_REMEMBERED: Final = 5000


class TakeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What listening to a take tells."""

    bpm: float | None = None
    note: str = ""
    """Such as ``A4``; empty where it is not a single note."""
    key: str = ""
    """The key that its prompt names, where the take is in it."""
    lufs: float | None = None
    """Integrated loudness; None for silence."""
    character: Character = ""


class FactsOfTakes:
    """Listens to one take at a time, and remembers what it heard."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, TakeFacts] = OrderedDict()
        self._one = asyncio.Semaphore(1)

    async def of(self, stored: StoredTake) -> TakeFacts:
        """What ``stored`` is.

        Raises:
            UnreadableAudio: its file is damaged.
        """
        path = stored.take.path
        async with self._one:
            if path not in self._known:
                self._known[path] = await asyncio.to_thread(_heard, await read_sound(path), stored)
        self._known.move_to_end(path)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return self._known[path]


def _heard(sound: Waveform, stored: StoredTake) -> TakeFacts:
    beginning = sound.crop(min(sound.frames, round(_LISTENED_S * sound.sample_rate)))
    mono = beginning.resample(_RATE).downmix()
    bpm = bpm_of(mono, stored.take.path.name)
    note, lufs = note_of(mono), integrated_lufs(beginning)
    named = read_notation(stored.prompt).key
    return TakeFacts(
        bpm=bpm,
        note="" if note is None else nearest_note(note)[0],
        key=named if (stored.take.measures.get("key_share") or 0.0) >= IN_KEY else "",
        lufs=None if lufs is None else round(lufs, 1),
        character=character_of(mono, stored.take.path.name, bpm),
    )
