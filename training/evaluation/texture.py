"""Artefacts of a decoder: block patterns, metallic ringing, changed modulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["block_excess_db", "mel_l1", "modulation_difference_db", "ring_db"]

Frames = npt.NDArray[np.floating]

WINDOW: Final = 64
"""Mel frames (0.64 s) over which modulation is analysed; a multiple of every block size."""
LOG_TO_DB: Final = 10.0 / np.log(10.0)
RING_N_FFT: Final = 1600
RING_QUIET: Final = 1e-4
"""Frames 40 dB below a clip's loudest are not compared."""


def mel_l1(reference: Frames, decoded: Frames) -> float:
    """Mean absolute difference of log-mels [T, M], natural log, over the frames both have."""
    frames = min(len(reference), len(decoded))
    return float(np.abs(reference[:frames] - decoded[:frames]).mean())


def modulation_difference_db(references: Sequence[Frames], decoded: Sequence[Frames]) -> float:
    """Mean absolute difference of the modulation spectra of two sets of log-mels, in dB."""
    reference, other = _modulation(references, axis=1), _modulation(decoded, axis=1)
    return float(np.abs(LOG_TO_DB * np.log(other[1:] / reference[1:])).mean())


def block_excess_db(
    references: Sequence[Frames], decoded: Sequence[Frames], block: int, axis: int
) -> float:
    """How far a pattern of ``block`` cells stands out in ``decoded`` against ``references``, dB.

    The power of the log-mel's variation at one cycle a block, relative to that at its
    neighbours, in ``decoded`` over the same in ``references``. ``axis`` 0 is time, 1 frequency.
    0 dB: no pattern; the patches of a latent show as several dB.
    """
    return _excess(_modulation(decoded, 1 + axis), block) - _excess(
        _modulation(references, 1 + axis), block
    )


def ring_db(
    references: Sequence[npt.NDArray[np.floating]],
    decoded: Sequence[npt.NDArray[np.floating]],
    frame_rate: int = 100,
    sample_rate: int = 16000,
) -> float:
    """How far lines at multiples of a vocoder's frame rate stand out of the spectrum, in dB.

    Compares the mean spectrum of ``decoded`` [frames] each with that of ``references`` where
    these sound, at the multiples of ``frame_rate`` Hz against half-way between them.
    """
    gains = [_gain(*pair) for pair in zip(references, decoded, strict=True)]
    gain = LOG_TO_DB * np.concatenate(gains).mean(axis=0)
    step = frame_rate * RING_N_FFT // sample_rate
    lines = np.arange(step, len(gain) - step, step)
    between = (gain[lines - step // 2] + gain[lines + step // 2]) / 2
    return float((gain[lines] - between).mean())


def _modulation(sounds: Sequence[Frames], axis: int) -> npt.NDArray[np.float64]:
    """Mean power spectrum along ``axis`` of windows [N, WINDOW, M] of log-mels."""
    windows = np.concatenate([_windows(frames) for frames in sounds]).astype(np.float64)
    windows = windows - windows.mean(axis=axis, keepdims=True)
    taper = np.hanning(windows.shape[axis] + 1)[:-1]
    shape = [1, 1, 1]
    shape[axis] = len(taper)
    power = np.square(np.abs(np.fft.rfft(windows * taper.reshape(shape), axis=axis)))
    others = tuple(other for other in range(3) if other != axis)
    return np.asarray(power.mean(axis=others) + 1e-9)


def _windows(frames: Frames) -> Frames:
    count = len(frames) // WINDOW
    if not count:
        padded = np.pad(frames, ((0, WINDOW - len(frames)), (0, 0)), mode="edge")
        return padded[None]
    return frames[: count * WINDOW].reshape(count, WINDOW, -1)


def _excess(power: npt.NDArray[np.float64], block: int) -> float:
    """Power at one cycle a block over that three to five bins beside it, in dB."""
    index = 2 * (len(power) - 1) // block
    beside = [index + offset for offset in (-5, -4, -3, 3, 4, 5) if index + offset < len(power)]
    return float(LOG_TO_DB * (np.log(power[index]) - np.log(power[beside]).mean()))


def _gain(
    reference: npt.NDArray[np.floating], decoded: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Log power ratio [N, bins] of the frames that are loud in ``reference``."""
    frames = min(len(reference), len(decoded))
    powers = [_powers(samples[:frames]) for samples in (reference, decoded)]
    loudness = powers[0].sum(axis=1)
    loud = loudness > RING_QUIET * loudness.max()
    # A floor 80 dB below the loudest bin: quieter bins are inaudible.
    floor = 1e-8 * max(float(powers[0].max()), 1e-12)
    return np.asarray(np.log((powers[1][loud] + floor) / (powers[0][loud] + floor)))


def _powers(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    padded = np.pad(samples.astype(np.float64), (0, max(0, RING_N_FFT - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, RING_N_FFT)[:: RING_N_FFT // 2]
    return np.asarray(np.square(np.abs(np.fft.rfft(frames * np.hanning(RING_N_FFT)))))
