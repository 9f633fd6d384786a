"""Pitched sounds made on the fly: the ground truth for what a partial looks like in a mel.

Sines, saws, squares, organs, plucked and bowed strings, bells; alone, detuned, as chords; with
vibrato, glides and envelopes; over noise of any level. Fundamentals are drawn evenly over the
logarithm of frequency and are not bound to a scale.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.networks.mel import HOP_LENGTH, SAMPLE_RATE

__all__ = ["draw_tones"]

Samples = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]

LOWEST_HZ: Final = 36.0
BASS_HZ: Final = 140.0
"""Below this a note is hard to read from a mel, and drawn more often."""
HIGHEST_HZ: Final = 2600.0
HIGHEST_ROOT_HZ: Final = 900.0
NYQUIST_MARGIN_HZ: Final = 7700.0
CHORDS: Final = (
    (0, 7), (0, 12), (0, 5), (0, 4), (0, 3), (0, 9), (0, 4, 7), (0, 3, 7), (0, 5, 7), (0, 4, 9),
    (0, 3, 8), (0, 7, 16), (0, 7, 15), (0, 4, 7, 11), (0, 3, 7, 10), (0, 4, 7, 12), (-12, 0, 4, 7),
)  # fmt: skip
TIMBRES: Final = ("sine", "saw", "square", "organ", "string", "pluck", "bell", "random")
TIMBRE_SHARES: Final = (0.2, 0.2, 0.08, 0.12, 0.14, 0.14, 0.04, 0.08)
TABLE: Final = 16384
DRAWBARS: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


def draw_tones(
    count: int, frames: int, generator: torch.Generator, low_share: float = 0.25
) -> tuple[Tensor, Tensor]:
    """``count`` clips ``[count, 160 frames]`` in [-1, 1], and the note of each frame in Hz.

    The note is 0 where none, more than one or a sine sounds. At least ``low_share`` are low notes.
    """
    seeds = torch.randint(2**62, (count,), generator=generator, device=generator.device).tolist()
    clips, notes = zip(
        *(_clip(frames * HOP_LENGTH, np.random.default_rng(seed), low_share) for seed in seeds),
        strict=True,
    )
    return torch.from_numpy(np.stack(clips)), torch.from_numpy(np.stack(notes))


def _clip(length: int, draw: np.random.Generator, low_share: float) -> tuple[Samples, Samples]:
    fundamentals = _fundamentals(draw, low_share)
    timbre = str(draw.choice(TIMBRES, p=TIMBRE_SHARES))
    together = draw.random() < 0.6
    sound = np.zeros(length, np.float32)
    bend = _bend(length, draw)
    envelope = _envelope(length, draw)
    for hertz in fundamentals:
        if not together:
            bend, envelope = _bend(length, draw), _envelope(length, draw)
            timbre = str(draw.choice(TIMBRES, p=TIMBRE_SHARES))
        sound += _note(hertz, timbre, bend, draw) * envelope * np.float32(draw.uniform(0.4, 1.0))
    sound *= 10.0 ** draw.uniform(-1.6, -0.05) / (np.abs(sound).max() + 1e-6)
    noise = np.zeros(length, np.float32) if draw.random() < 0.2 else _noise(length, draw)
    alone = len(fundamentals) == 1 and timbre not in ("bell", "sine")
    note = fundamentals[0] * 2.0**bend * alone * _stands_out(sound, noise)
    return sound + noise, note[HOP_LENGTH // 2 :: HOP_LENGTH].astype(np.float32)


def _stands_out(sound: Samples, noise: Samples) -> npt.NDArray[np.bool_]:
    """Where the sound, over 32 ms, is louder than its noise and than -40 dB of its peak."""
    levels = [
        np.convolve(np.abs(part), np.full(512, 1 / 512, np.float32), "same")
        for part in (sound, noise)
    ]
    return np.asarray((levels[0] > levels[1]) & (levels[0] > 0.01 * np.abs(sound).max()))


def _fundamentals(draw: np.random.Generator, low_share: float) -> Curve:
    """Frequencies of the notes that sound together, Hz."""
    if draw.random() < low_share:
        return np.array([_logarithmic(LOWEST_HZ, BASS_HZ, draw)])
    if draw.random() < 0.4:
        return np.array([_logarithmic(LOWEST_HZ, HIGHEST_HZ, draw)])
    if draw.random() < 0.2:
        return np.array([_logarithmic(LOWEST_HZ, HIGHEST_HZ, draw) for _ in range(2)])
    steps = np.array(CHORDS[draw.integers(len(CHORDS))]) + draw.normal(0.0, 0.04)
    return np.asarray(_logarithmic(2 * LOWEST_HZ, HIGHEST_ROOT_HZ, draw) * 2.0 ** (steps / 12.0))


def _note(hertz: float, timbre: str, bend: Curve, draw: np.random.Generator) -> Samples:
    """One note of ``timbre``; ``bend`` [length] is in octaves."""
    voices = 1
    if timbre == "string" or draw.random() < 0.12:
        voices = int(draw.integers(2, 4))
    total = np.zeros(len(bend), np.float32)
    for _ in range(voices):
        cents = draw.uniform(-12.0, 12.0) if voices > 1 else 0.0
        frequency = hertz * 2.0 ** (bend + cents / 1200.0)
        turns = np.cumsum(frequency) / SAMPLE_RATE
        total += _partials(turns, frequency.max(), timbre, draw)
    return total


def _partials(turns: Curve, highest: float, timbre: str, draw: np.random.Generator) -> Samples:
    """Sum of the partials of a voice whose fundamental has made ``turns`` [length] cycles."""
    ratios, gains = _spectrum(timbre, draw)
    kept = ratios * highest < NYQUIST_MARGIN_HZ
    ratios, gains = ratios[kept], gains[kept]
    starts = draw.random(len(ratios)) if draw.random() < 0.5 else np.zeros(len(ratios))
    if timbre in ("pluck", "bell"):
        return _decaying(turns, ratios, gains, starts, draw)
    return _periodic(turns, ratios, gains, starts)


def _periodic(turns: Curve, ratios: Curve, gains: Curve, starts: Curve) -> Samples:
    """A sum that repeats with the fundamental, read from a table."""
    spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
    spectrum[np.round(ratios).astype(int)] = gains * np.exp(2j * np.pi * starts)
    table = np.fft.irfft(spectrum, TABLE) * (TABLE / 2)
    place = (turns % 1.0) * TABLE
    low = place.astype(np.int64) % TABLE
    share = place - low
    return np.asarray((1.0 - share) * table[low] + share * table[(low + 1) % TABLE], np.float32)


def _decaying(
    turns: Curve, ratios: Curve, gains: Curve, starts: Curve, draw: np.random.Generator
) -> Samples:
    """What is struck or plucked: every partial dies away at its own rate, high ones sooner."""
    rates = draw.uniform(0.5, 6.0) * (1.0 + draw.uniform(0.0, 0.4) * ratios)
    seconds = np.arange(len(turns), dtype=np.float32) / SAMPLE_RATE
    total = np.zeros(len(turns), np.float32)
    for ratio, gain, start, rate in zip(ratios, gains, starts, rates, strict=True):
        if gain > 1e-3 * gains.max():
            angle = ((turns * ratio + start) % 1.0).astype(np.float32) * np.float32(2.0 * np.pi)
            total += np.float32(gain) * np.sin(angle) * np.exp(-np.float32(rate) * seconds)
    return total


def _spectrum(timbre: str, draw: np.random.Generator) -> tuple[Curve, Curve]:
    """Frequency ratios and gains of the partials."""
    numbers = np.arange(1, 220, dtype=np.float64)
    if timbre == "sine":
        return numbers[:1], np.ones(1)
    if timbre == "organ":
        ratios = np.array(DRAWBARS)
        return ratios, draw.uniform(0.0, 1.0, len(ratios)) * (draw.random(len(ratios)) < 0.7) + 1e-3
    if timbre == "bell":
        ratios = np.sort(np.concatenate(([1.0], draw.uniform(1.1, 9.0, int(draw.integers(2, 8))))))
        return ratios, draw.uniform(0.1, 1.0, len(ratios))
    slope = {"saw": 1.0, "square": 1.0, "string": 1.0}.get(timbre, draw.uniform(0.4, 2.5))
    gains = numbers**-slope * 10.0 ** (-numbers * draw.uniform(0.0, 0.02) * (draw.random() < 0.5))
    if timbre in ("random", "pluck"):
        gains = gains * draw.uniform(0.05, 1.0, len(numbers))
    if timbre == "square":
        gains = gains * (numbers % 2)
    stretch = draw.uniform(0.0, 5e-4) if timbre == "pluck" and draw.random() < 0.5 else 0.0
    return numbers * np.sqrt(1.0 + stretch * numbers**2), gains


def _bend(length: int, draw: np.random.Generator) -> Curve:
    """Deviation of the pitch in octaves ``[length]``: none, vibrato or a glide."""
    seconds = np.arange(length) / SAMPLE_RATE
    bend = np.zeros(length)
    if draw.random() < 0.3:
        depth, rate = draw.uniform(0.0, 0.05), draw.uniform(3.0, 8.0)
        bend += depth * np.sin(2.0 * np.pi * (rate * seconds + draw.random()))
    if draw.random() < 0.15:
        end = draw.uniform(0.05, seconds[-1])
        ramp = np.clip((seconds - draw.uniform(0.0, end)) / end, 0.0, 1.0)
        bend += draw.uniform(-1.0, 1.0) * ramp
    return bend


def _envelope(length: int, draw: np.random.Generator) -> Samples:
    """Attack, sustain or decay, and release."""
    seconds = np.arange(length) / SAMPLE_RATE
    end = seconds[-1]
    begin = draw.uniform(0.0, 0.7 * end) if draw.random() < 0.5 else -end
    attack = 10.0 ** draw.uniform(-2.7, -0.5)
    stop = draw.uniform(max(begin, 0.0) + 0.2 * end, 1.5 * end)
    release = 10.0 ** draw.uniform(-2.5, -0.5)
    shape = np.clip((seconds - begin) / attack, 0.0, 1.0)
    shape = shape * np.clip((stop - seconds) / release, 0.0, 1.0)
    if draw.random() < 0.4:
        shape = shape * np.exp(-np.clip(seconds - begin, 0.0, None) * draw.uniform(0.3, 6.0))
    if draw.random() < 0.15:
        rate, depth = draw.uniform(1.0, 9.0), draw.uniform(0.1, 0.9)
        shape = shape * (1.0 - depth * (0.5 + 0.5 * np.sin(2.0 * np.pi * rate * seconds)))
    return shape.astype(np.float32)


def _noise(length: int, draw: np.random.Generator) -> Samples:
    """White to brownish noise of -100 to -25 dB."""
    noise = draw.standard_normal(length).astype(np.float32)
    pole = draw.uniform(0.0, 0.95) if draw.random() < 0.5 else 0.0
    if pole:
        taps = pole ** np.arange(64)
        noise = np.convolve(noise, taps / np.sqrt((taps**2).sum()), "same").astype(np.float32)
    return noise * np.float32(10.0 ** draw.uniform(-5.0, -1.25))


def _logarithmic(low: float, high: float, draw: np.random.Generator) -> float:
    return float(low * (high / low) ** draw.random())
