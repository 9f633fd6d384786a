"""``models/air``: the network that predicts the upper band, and its way through long takes.

A take is worked on in pieces of ten seconds with a second of context on either side, which is
more than the network sees. So pieces join without seams, and memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Waveform
from server.audio.width import polarities
from server.fullband.analysis import (
    CROSSOVER_HZ,
    FRAMES_A_STEP,
    HOP,
    RATE,
    Array,
    features,
    frame_count,
    level,
)
from server.fullband.excitation import excitation, octave_of
from server.fullband.noise import UpperNoise
from server.fullband.synthesis import upper_band
from server.model.noise import Origin
from server.model.session import Graph

__all__ = ["GRAPH", "LogGain", "UpperBand", "built_in_upper_band"]

GRAPH: Final = "upper_band.onnx"
_STEP: Final = FRAMES_A_STEP * HOP
_PIECE: Final = 469 * _STEP
_CONTEXT: Final = 54 * _STEP
"""1.15 s; the network sees 1.1 s on either side."""
_JOIN: Final = _STEP
"""Crossfade at the end of a loop, whose length need not be whole frames."""
_SILENCE: Final = 1e-6

LogGain = Callable[[npt.NDArray[np.int64]], Array]
"""From sample numbers at 48 kHz to gains [len, bands] of the log power there."""
Reader = Callable[[npt.NDArray[np.int64]], Array]


def built_in_upper_band() -> Path:
    """The model folder that comes with the program."""
    return Path(str(files("models"))) / "air"


class UpperBand:
    """The upper band of any take, from its band below 8 kHz.

    Args:
        folder: the model folder, with ``upper_band.onnx``.
        threads: CPU threads; 0: all cores.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._graph = Graph(folder / GRAPH, ["CPUExecutionProvider"], threads)
        self._noise = UpperNoise()

    def of(
        self,
        sound: Waveform,
        seed: int,
        *,
        circular: bool = False,
        start_hz: float = CROSSOVER_HZ,
        gain: LogGain | None = None,
        origin: Origin | None = None,
    ) -> Waveform:
        """The upper band that belongs to ``sound``: as long, and at the same rate.

        Args:
            sound: a take whose own band ends at 8 kHz or at ``start_hz``.
            seed: of the noise in it.
            circular: the end of ``sound`` continues in its beginning.
            start_hz: where the new band begins, at least 7.8 kHz.
            gain: changes the predicted power of the bands.
            origin: the take that this one is a variation of.
        """
        low = _at_48_khz(sound, circular)
        scale = max((level(np.ascontiguousarray(c)) for c in low.samples.T), default=0.0)
        if scale < _SILENCE:
            return Waveform(np.zeros_like(sound.samples), sound.sample_rate)
        upper = np.empty_like(low.samples)
        upright = polarities(low.samples)
        readers = self._noise.channels(low.samples * upright, seed, origin)
        for number, (noise, sign) in enumerate(zip(readers, upright, strict=True)):
            factor = sign * np.float32(scale)
            channel = np.ascontiguousarray(low.samples[:, number]) / factor
            upper[:, number] = self._channel(channel, noise, circular, start_hz, gain) * factor
        return _back(Waveform(upper, RATE), sound, circular)

    def log_power(self, samples: Array) -> Array:
        """Predicted log power [frames, bands] of a short sound [S] at 48 kHz."""
        scale = max(level(samples), _SILENCE)
        envelope, _ = self._predicted(samples / np.float32(scale), octave_of(samples) / scale)
        return envelope + np.float32(2.0 * np.log(scale))

    def _channel(
        self, low: Array, noise: Reader, circular: bool, start_hz: float, gain: LogGain | None
    ) -> Array:
        upper = np.empty(len(low), np.float32)
        before = upper[:0]
        for first, end in _pieces(len(low)):
            places = _places(first, end, None if circular else len(low))
            own = places % len(low) if circular else places
            piece = self._piece(
                _excerpt(low, own), noise(own), start_hz, gain and gain(_centres(own))
            )
            context = first - int(places[0])
            upper[first:end] = piece[context : context + end - first]
            before = before if first else piece[max(0, context - len(low)) : context]
        return _joined(upper, before) if circular else upper

    def _piece(self, low: Array, noise: Array, start_hz: float, gain: Array | None) -> Array:
        octave = octave_of(low)
        envelope, share = self._predicted(low, octave)
        if gain is not None:
            envelope = envelope + gain
        return upper_band(excitation(octave, noise), envelope, share, len(low), start_hz)

    def _predicted(self, low: Array, octave: Array) -> tuple[Array, Array]:
        """Log power and share of overtones, [frames, bands] each."""
        given, reference = features(low, octave)
        power, share = self._graph(features=given[None])
        return power[0] + reference[:, None], share[0]


def _pieces(samples: int) -> Iterator[tuple[int, int]]:
    """Beginning and end of each piece; all begin on a network step."""
    for first in range(0, samples, _PIECE):
        yield first, min(samples, first + _PIECE)


def _centres(places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Samples at the centres of the frames over ``places``."""
    frames = np.arange(frame_count(len(places))) * HOP
    return places[np.minimum(frames, len(places) - 1)]


def _places(first: int, end: int, length: int | None) -> npt.NDArray[np.int64]:
    """Sample numbers of a piece with its context; little of it beyond the ends of a take."""
    begin, last = first - _CONTEXT, end + _CONTEXT
    if length is not None:
        begin, last = max(begin, -_STEP), min(last, length + _STEP)
    return np.arange(begin, last)


def _excerpt(low: Array, places: npt.NDArray[np.int64]) -> Array:
    """The samples at ``places``; 0 beyond the ends."""
    first, end = int(places[0]), int(places[-1]) + 1
    if end - first != len(places):
        return low[places]
    before, after = max(0, -first), max(0, end - len(low))
    return np.pad(low[max(0, first) : end], (before, after))


def _joined(upper: Array, before: Array) -> Array:
    """``upper`` whose end turns into what comes before its beginning."""
    length = min(_JOIN, len(before), len(upper))
    share = ((np.arange(length) + 1.0) / (length + 1.0)).astype(np.float32)
    end = upper[len(upper) - length :]
    end += share * (before[len(before) - length :] - end)
    return upper


def _at_48_khz(sound: Waveform, circular: bool) -> Waveform:
    if circular:
        return sound.resample_ring(max(1, round(sound.frames * RATE / sound.sample_rate)), RATE)
    return sound.resample(RATE)


def _back(upper: Waveform, sound: Waveform, circular: bool) -> Waveform:
    """At the rate and length of ``sound``."""
    if circular:
        return upper.resample_ring(sound.frames, sound.sample_rate)
    return upper.resample(sound.sample_rate).crop(sound.frames)
