"""Tempo and root note of sounds of our own, as samplers and DAWs read them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from server.audio.metadata.flac import Comments
from server.audio.metadata.riff import Chunk

__all__ = ["Played"]

_ONE_SHOT: Final = 0x01
_ROOT_SET: Final = 0x02
_STRETCHED: Final = 0x04
_MIDDLE_C: Final = 60
_OFF_BEAT: Final = 0.02
"""Beats by which a loop may miss a whole number of beats."""


@dataclass(frozen=True)
class Played:
    """How a new sound is meant to be played; 0 where a value is unknown."""

    frames: int
    sample_rate: int
    loop: bool
    bpm: float = 0.0
    beats_per_bar: float = 4.0
    """In quarter notes."""
    note: int = 0
    """MIDI number."""

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """``smpl`` and ``acid``; none for a one-shot without a note."""
        if not (self.loop or self.note):
            return ()
        if self.loop and not self._whole_beats:
            return (self._smpl(),)
        return (self._smpl(), self._acid())

    @property
    def comments(self) -> Comments:
        """The tempo, for formats without chunks."""
        return (("BPM", f"{self.bpm:g}"),) if self.loop and self.bpm else ()

    @property
    def _whole_beats(self) -> int:
        """Number of beats; 0 where they do not fill the loop."""
        beats = self.frames / self.sample_rate * self.bpm / 60.0
        return round(beats) if abs(beats - round(beats)) < _OFF_BEAT else 0

    def _fills(self, note_value: int) -> bool:
        """Whether a bar is a whole number of notes: 3.5 quarters are seven eighths."""
        return (self.beats_per_bar * note_value / 4).is_integer()

    def _smpl(self) -> Chunk:
        period = round(1e9 / self.sample_rate)
        head = struct.pack("<9I", 0, 0, period, self.note or _MIDDLE_C, 0, 0, 0, int(self.loop), 0)
        loop = struct.pack("<6I", 0, 0, 0, self.frames - 1, 0, 0) if self.loop else b""
        return Chunk(b"smpl", head + loop)

    def _acid(self) -> Chunk:
        kind = (_STRETCHED if self.loop else _ONE_SHOT) | (_ROOT_SET if self.note else 0)
        beats = self._whole_beats if self.loop else 0
        root = self.note or _MIDDLE_C
        note_value = next((value for value in (4, 8, 16) if self._fills(value)), 32)
        meter = (note_value, round(self.beats_per_bar * note_value / 4))
        return Chunk(
            b"acid", struct.pack("<IHHfIHHf", kind, root, 0x8000, 0.0, beats, *meter, self.bpm)
        )
