"""The vocoder of a model folder, for sounds of any length and for rings.

A vocoder whose partials have phases that go on (``vocoder_cells`` in the manifest) is told where
the piece before was, so that pieces join without a step or a beat. A ring is decoded twice: what
each of its partials lacks of whole cycles is spread over all of it, less than half a cycle in all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Samples
from server.model.chunks import Frames, in_chunks
from server.model.manifest import Manifest
from server.model.session import Graph

__all__ = ["Vocoder"]

_REGION: Final = 2
"""Cells to either side of a partial that have its phase."""


@dataclass
class _Pieces:
    """Runs the vocoder on piece after piece, each going on where the one before was."""

    graph: Graph
    join: int
    """Frames from the beginning of a piece to where its phases are those of the one before."""
    start: int = 0
    """The frame of the first piece in which phases are what they are by default."""
    drift: Frames | None = None
    watched: tuple[int, ...] = ()
    seen: dict[int, tuple[Frames, Frames]] = field(default_factory=dict)
    """Phase and amplitude of the cells in watched frames."""
    _first: int = 0
    _phase: Frames | None = None

    def __call__(self, log_mel: Frames, first: int) -> Frames:
        inputs: dict[str, npt.NDArray[Any]] = {"start": np.array([self.start], np.int64)}
        if self._phase is not None:
            inputs["start"] = np.array([self.join], np.int64)
            inputs["phase"] = self._phase[None, first + self.join - self._first]
        if self.drift is not None:
            inputs["drift"] = self.drift[None]
        waveform, phase, amplitude = self.graph(log_mel=log_mel[None], **inputs)
        for frame in self.watched:
            if first <= frame < first + len(log_mel):
                self.seen[frame] = phase[0, frame - first], amplitude[0, frame - first]
        self._first, self._phase = first, phase[0]
        return np.asarray(waveform[0])


class Vocoder:
    """Log-mels to sound, at most ``chunk`` frames at a time with ``overlap`` in common."""

    def __init__(self, manifest: Manifest, graph: Graph, chunk: int, overlap: int) -> None:
        self._tuned = manifest.vocoder_cells > 0
        self._hop, self._graph = manifest.hop_length, graph
        self._chunk, self._overlap = chunk, overlap

    def sound(self, log_mel: Frames) -> Samples:
        """The sound [n * hop] of ``log_mel`` [n, num_mels]."""
        if self._tuned:
            return self._in_pieces(self._pieces(), log_mel)
        return in_chunks(
            lambda piece, _: self._graph(log_mel=piece[None])[0][0],
            np.ascontiguousarray(log_mel),
            self._chunk,
            self._overlap,
            ratio=self._hop,
        )

    def ring(self, log_mel: Frames, margin: int) -> Samples:
        """The ring [n * hop] of ``log_mel`` [margin + n + margin, num_mels].

        The margins are what comes before and after, from around the ring.
        """
        inside = slice(margin * self._hop, (len(log_mel) - margin) * self._hop)
        if not self._tuned:
            return self.sound(log_mel)[inside]
        begin, end = margin, len(log_mel) - margin
        first = self._pieces(start=margin, watched=(begin, end))
        self._in_pieces(first, log_mel)
        drift = _closing(first.seen[begin][0], *first.seen[end], end - begin)
        return self._in_pieces(self._pieces(start=margin, drift=drift), log_mel)[inside]

    def _pieces(self, **settings: Any) -> _Pieces:
        return _Pieces(self._graph, self._overlap // 2, **settings)

    def _in_pieces(self, pieces: _Pieces, log_mel: Frames) -> Samples:
        signal = np.ascontiguousarray(log_mel)
        return in_chunks(pieces, signal, self._chunk, self._overlap, ratio=self._hop)


def _closing(before: Frames, after: Frames, amplitude: Frames, frames: int) -> Frames:
    """The drift [K] by which partials that sound at the seam come to the phase they had.

    Args:
        before, after: Phases [K] at the beginning of the ring, and after ``frames`` around it.
        amplitude: Of the partials after it; silent cells need not close.
        frames: Length of the ring.
    """
    lacking = before - after
    lacking -= np.round(lacking)
    drift = np.zeros_like(lacking)
    sounding = np.flatnonzero(amplitude)
    for shift in sorted(range(-_REGION, _REGION + 1), key=abs, reverse=True):
        near = np.clip(sounding + shift, 0, len(drift) - 1)
        drift[near] = lacking[sounding] / frames
    return drift
