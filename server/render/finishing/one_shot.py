"""One-shots: a tight beginning, and no silence after the end.

A model begins a hit somewhere, sometimes in its middle, and fills the rest of its window. What a
sampler needs begins at the onset, without a step, and ends where the sound does.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from server.audio.waveform import Samples, Waveform

__all__ = ["declicked", "onset_of", "tightened", "trimmed_tail"]

_ONSET_DB: Final = -30.0
"""The onset is where the level first comes as near as this to the peak."""
_LEAD_S: Final = 0.0005
"""Sound that is kept before the onset."""
_FADE_IN_S: Final = 0.0004
_FADE_OUT_S: Final = 0.02
_SMOOTH_FADE_OUT_S: Final = 0.005
_TAIL_DB: Final = -60.0
_BLOCK_S: Final = 0.005
_LEAST_S: Final = 0.05
"""Shortest one-shot."""


def onset_of(sound: Waveform) -> int:
    """First sample within 30 dB of the peak; 0 for silence."""
    level = np.abs(sound.samples).max(axis=1, initial=0.0)
    loud = level > sound.peak * 10.0 ** (_ONSET_DB / 20.0)
    return int(np.argmax(loud)) if sound.peak else 0


def tightened(sound: Waveform, *, keep_length: bool) -> tuple[Waveform, int]:
    """Cut what lies before the onset.

    Args:
        sound: a hit.
        keep_length: add as much silence after its end.

    Returns:
        the sound and the number of frames that were cut.
    """
    cut = max(0, onset_of(sound) - round(_LEAD_S * sound.sample_rate))
    tight = sound.with_samples(np.ascontiguousarray(sound.samples[cut:]))
    return (tight.crop(sound.frames) if keep_length else tight), cut


def trimmed_tail(sound: Waveform) -> Waveform:
    """End where the level stays 60 dB below the peak, with a fade."""
    rate = sound.sample_rate
    block = max(1, round(_BLOCK_S * rate))
    level = np.abs(sound.samples).max(axis=1, initial=0.0)
    audible = np.flatnonzero(level > sound.peak * 10.0 ** (_TAIL_DB / 20.0))
    if not len(audible):
        return sound
    end = -(-(int(audible[-1]) + 1) // block) * block
    end = min(sound.frames, max(end, round(_LEAST_S * rate)))
    return _faded_out(sound.with_samples(sound.samples[:end].copy()), _FADE_OUT_S)


def declicked(sound: Waveform) -> Waveform:
    """Begin and end at zero: the first 0.4 ms rise, the last 5 ms fall."""
    samples = sound.samples.copy()
    rise = _rising(min(round(_FADE_IN_S * sound.sample_rate), sound.frames))
    samples[: len(rise)] *= rise[:, None]
    return _faded_out(sound.with_samples(samples), _SMOOTH_FADE_OUT_S)


def _faded_out(sound: Waveform, seconds: float) -> Waveform:
    """``sound``, whose samples may be written to, with its last ``seconds`` faded out."""
    fall = _rising(min(round(seconds * sound.sample_rate), sound.frames // 2))[::-1]
    sound.samples[sound.frames - len(fall) :] *= fall[:, None]
    return sound


def _rising(length: int) -> Samples:
    """Half a cosine from 0 to nearly 1."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
