"""A clip's audio channels as the model takes them: its sample rate, its training level.

VAE, unet and vocoder process each channel separately. Equal channels are processed once. The
level and the DC offset that are removed here are restored on the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from server.audio.waveform import Samples, Waveform
from server.model.autoencoder import Autoencoder
from server.model.schedule import Latents

__all__ = ["Channels", "stacked"]

_TRAINING_PEAK: Final = 0.5
"""AudioLDM normalises its training clips to this peak."""
_DC_SHARE: Final = 0.1
"""Ratio of the mean to the level above which the mean counts as a DC offset."""


@dataclass(frozen=True)
class Channels:
    """The distinct channels of ``source`` at the model's rate, with its ``gain`` and ``offset``."""

    samples: tuple[Samples, ...]
    sample_rate: int
    source: Waveform
    gain: float
    offset: Samples

    @classmethod
    def of(cls, source: Waveform, sample_rate: int) -> Channels:
        """Convert ``source`` to the model's ``sample_rate`` and training level."""
        equal = source.channels > 1 and bool((source.samples[:, 1:] == source.samples[:, :1]).all())
        distinct = Waveform(source.samples[:, :1], source.sample_rate) if equal else source
        offset = _offset(distinct)
        centred = Waveform(distinct.samples - offset, source.sample_rate)
        gain = _TRAINING_PEAK / centred.peak if centred.peak > 1e-5 else 1.0
        at_rate = centred.resample(sample_rate).samples * np.float32(gain)
        channels = tuple(np.ascontiguousarray(channel) for channel in at_rate.T)
        return cls(channels, sample_rate, source, gain, offset)

    def __len__(self) -> int:
        return len(self.samples)

    def encode(self, autoencoder: Autoencoder, samples: int) -> Latents:
        """Clean latents [channels, C, T, F] of the sound, padded with silence to ``samples``."""
        return np.stack(
            [
                autoencoder.encode(np.pad(channel[:samples], (0, max(0, samples - len(channel)))))
                for channel in self.samples
            ]
        )

    def restored(self, rendered: list[Samples]) -> Waveform:
        """Rendered channels at the source's rate, length, level and number of channels."""
        sound = stacked(rendered, self.sample_rate).resample(self.source.sample_rate)
        samples = sound.crop(self.source.frames).samples / np.float32(self.gain) + self.offset
        if sound.channels < self.source.channels:
            samples = np.repeat(samples, self.source.channels, axis=1)
        return Waveform(np.ascontiguousarray(samples, np.float32), self.source.sample_rate)


def _offset(sound: Waveform) -> Samples:
    """The DC offset of each channel; 0 where the mean is small against the level."""
    mean = sound.samples.mean(axis=0, dtype=np.float64)
    level = np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64), axis=0))
    return np.asarray(np.where(np.abs(mean) > _DC_SHARE * level, mean, 0.0), np.float32)


def stacked(channels: list[Samples], sample_rate: int) -> Waveform:
    """One waveform from the samples of its channels."""
    return Waveform(np.ascontiguousarray(np.stack(channels, axis=1), np.float32), sample_rate)
