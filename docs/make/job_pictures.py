"""Spectrograms as numbers and as small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
from PIL import Image

from server.audio.waveform import Waveform

__all__ = ["draw", "draw_all", "likeness"]

SIZE: Final = (480, 128)
MODEL_RATE: Final = 16_000
FULL_RATE: Final = 40_000
"""Pictures reach up to half of it."""


def likeness(a: Waveform, b: Waveform) -> float:
    """Correlation of the two sounds' spectrograms."""
    first, second = (spectrogram(sound)[:, :400] for sound in (a, b))
    frames = min(first.shape[1], second.shape[1])
    return float(np.corrcoef(first[:, :frames].ravel(), second[:, :frames].ravel())[0, 1])


def spectrogram(sound: Waveform, rate: int = MODEL_RATE) -> np.ndarray:
    """Levels in dB from 0 to half of ``rate``, [128, frames]."""
    mono = sound.resample(rate).downmix()
    length, hop = 64 * rate // 1000, rate // 100
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, length // 2), length)[::hop]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)))[:, : length // 2]
    bands = power.reshape(len(power), 128, -1).mean(axis=2).T
    return 10.0 * np.log10(bands + 1e-8)


def draw(before: Waveform | None, after: Waveform, path: Path) -> None:
    """The spectrograms one above the other, in few colours, so that the file stays small."""
    draw_all([sound for sound in (before, after) if sound is not None], path)


def draw_all(sounds: Sequence[Waveform], path: Path) -> None:
    """The same for any number of sounds."""
    longest = max(sound.seconds for sound in sounds)
    strips = [strip(sound, longest) for sound in sounds]
    gap = np.full((6, SIZE[0]), 31, np.uint8)
    rows = [part for one in strips for part in (one, gap)][:-1]
    image = Image.fromarray(np.concatenate(rows), mode="P")
    colours = matplotlib.colormaps["magma"](np.linspace(0, 1, 32))[:, :3]
    image.putpalette((colours * 255).astype(np.uint8).ravel().tolist())
    image.save(path, optimize=True, bits=5)


def strip(sound: Waveform, longest_s: float) -> np.ndarray:
    """One spectrogram as colour numbers, [128, width]."""
    levels = spectrogram(sound, FULL_RATE)
    width = max(1, round(SIZE[0] * sound.seconds / longest_s))
    columns = np.linspace(0, levels.shape[1] - 1, width).astype(int)
    shown = np.clip((levels[:, columns] - levels.max() + 70.0) / 70.0, 0.0, 1.0)
    result = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    result[:, :width] = np.round(shown[::-1] * 31)
    return result
