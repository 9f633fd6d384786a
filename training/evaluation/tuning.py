"""How far a decoder's tones, notes and chords are from the frequencies that went in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.pitch import note_pitch, octave_error

__all__ = ["CHORDS", "TONES_HZ", "chord", "judge_tuning", "line_cents", "steady_tone"]

Samples = npt.NDArray[np.float32]
Decode = Callable[[Samples], Samples]

SAMPLE_RATE: Final = 16000
SECONDS: Final = 2.5
SETTLED: Final = slice(4000, 36000)
"""The two seconds of a tone that are analysed."""
FFT_SIZE: Final = 2**18
REACH_CENTS: Final = 200.0
"""How far from where it should be a line is looked for."""
TONES_HZ: Final = (
    55.0, 61.7, 73.4, 82.4, 98.0, 110.0, 130.8, 155.6, 185.0, 220.0, 233.1, 261.6, 293.7, 329.6,
    392.0, 440.0, 466.2, 523.3, 659.3, 784.0, 880.0, 987.8, 1174.7, 1396.9, 1661.2, 1975.5,
)  # fmt: skip
TIMBRES: Final[dict[str, Callable[[int], float]]] = {
    "sine": lambda number: float(number == 1),
    "saw": lambda number: 1.0 / number,
    "organ": lambda number: {1: 1.0, 2: 0.7, 3: 0.5, 4: 0.4, 6: 0.2, 8: 0.2}.get(number, 0.0),
    "string": lambda number: 1.0 / number**1.3,
}
CHORDS: Final = (
    (48, 55), (60, 64), (57, 60), (52, 59), (65, 72), (69, 74), (48, 52, 55), (57, 60, 64),
    (60, 63, 67), (62, 66, 69), (53, 60, 69), (64, 68, 71),
)  # fmt: skip
"""MIDI notes."""
CHORD_PARTIALS: Final = 3
"""Of each note, the lowest of which are measured."""
APART_HZ: Final = 12.0
"""Partials of other notes nearer than this cannot be told apart and are not measured."""
FAINT_DB: Final = -35.0


def steady_tone(timbre: str, hertz: float, seconds: float = SECONDS) -> Samples:
    """``timbre`` at ``hertz``, peak 0.5; a string has a vibrato of four cents."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    turns = hertz * time
    if timbre == "string":
        depth = hertz * (2.0 ** (4.0 / 1200.0) - 1.0)
        turns = turns + depth / (2 * np.pi * 5.0) * np.sin(2 * np.pi * 5.0 * time)
    partials = range(1, int(7600 / hertz) + 1)
    total = np.sum([TIMBRES[timbre](k) * np.sin(2 * np.pi * k * turns) for k in partials], axis=0)
    return np.asarray(0.5 * total / np.abs(total).max(), np.float32)


def chord(notes: Sequence[int], seconds: float = SECONDS) -> Samples:
    """MIDI ``notes`` together, six partials each."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = [
        np.sin(2 * np.pi * partial * _hertz(note) * time + note * partial) / partial
        for note in notes
        for partial in range(1, 7)
    ]
    total = np.sum(waves, axis=0)
    return np.asarray(0.5 * total / np.abs(total).max(), np.float32)


def line_cents(samples: Samples, hertz: float, reach: float = REACH_CENTS) -> float:
    """Distance in cents from ``hertz`` to the highest spectral line within ``reach`` cents."""
    power, bins = _spectrum(samples)
    low, high = (int(hertz * 2.0 ** (sign * reach / 1200.0) / bins) for sign in (-1.0, 1.0))
    peak = low + int(np.argmax(power[low : high + 1]))
    left, middle, right = power[peak - 1 : peak + 2]
    curve = left - 2.0 * middle + right
    place = peak + (0.5 * (left - right) / curve if curve else 0.0)
    return 1200.0 * math.log2(place * bins / hertz)


def judge_tuning(
    decode: Decode, through: Decode, notes: Iterable[tuple[str, float, Samples]]
) -> dict[str, Any]:
    """Errors in cents.

    Args:
        decode: VAE and vocoder.
        through: The product: the same by way of the denoiser.
        notes: Caption, MIDI note and samples of real clips.
    """
    tones = {
        timbre: {
            str(hertz): line_cents(through(steady_tone(timbre, hertz)), hertz) for hertz in TONES_HZ
        }
        for timbre in TIMBRES
    }
    errors = [error for row in tones.values() for error in row.values()]
    hits = [hit for played in CHORDS for hit in _chord_hits(decode(chord(played)), played)]
    return {
        "tones": _summary(errors),
        "by_timbre": {timbre: _summary(list(row.values())) for timbre, row in tones.items()},
        "tones_cents": {t: {f: round(c, 1) for f, c in row.items()} for t, row in tones.items()},
        "chords": {"notes": len(hits), "within_10_cents": float(np.mean(hits))},
        "notes": _summary([cents for _, _, clip in notes for cents in _moved(clip, decode(clip))]),
    }


def _summary(errors: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and largest of absolute errors."""
    sizes = np.abs(errors) if len(errors) else np.array([math.nan])
    return {
        "count": len(errors),
        "median": float(np.median(sizes)),
        "p95": float(np.quantile(sizes, 0.95)),
        "worst": float(sizes.max()),
    }


def _moved(clip: Samples, decoded: Samples) -> list[float]:
    """By how many cents the pitch of a real note was moved; nothing where it has none."""
    real, heard = note_pitch(clip), note_pitch(decoded)
    if math.isnan(real.hz) or real.steady * real.voiced < 0.8:
        return []
    midi = 69.0 + 12.0 * math.log2(real.hz / 440.0)
    return [600.0 if math.isnan(heard.hz) else octave_error(heard.hz, midi)[1]]


def _chord_hits(samples: Samples, notes: Sequence[int]) -> list[bool]:
    """For each note, whether its partials are all within 10 cents."""
    power, bins = _spectrum(samples)
    partials = {note: [_hertz(note) * k for k in range(1, 7)] for note in notes}
    hits = []
    for note in notes:
        others = [line for other in notes if other != note for line in partials[other]]
        own = partials[note][:CHORD_PARTIALS]
        alone = [line for line in own if all(abs(line - other) > APART_HZ for other in others)]
        faint = power.max() + FAINT_DB / 20.0 * math.log(10.0)
        loud = [line for line in alone if power[round(line / bins)] > faint or line == own[0]]
        hits.append(all(abs(line_cents(samples, line, 60.0)) <= 10.0 for line in loud))
    return hits


def _spectrum(samples: Samples) -> tuple[npt.NDArray[np.float64], float]:
    """Log-magnitude of the settled part, and its bins' width in Hz."""
    part = samples[SETTLED].astype(np.float64)
    magnitude = np.abs(np.fft.rfft(part * np.hanning(len(part)), FFT_SIZE))
    return np.log(magnitude + 1e-12), SAMPLE_RATE / FFT_SIZE


def _hertz(note: float) -> float:
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))
