"""A clip's channels as the model hears them: at its rate, at the level it was trained on.

Each channel is a lane of its own through VAE, unet and vocoder; channels that are equal share
one. What is taken off here (level, offset) is put back on the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from server.audio.waveform import Samples, Waveform
from server.model.autoencoder import Autoencoder
from server.model.schedule import Latents

__all__ = ["Lanes", "stacked"]

_TRAINING_PEAK: Final = 0.5
"""AudioLDM normalises its training clips to this peak."""
_DC_SHARE: Final = 0.1
"""A mean above this share of the level is an offset, not chance."""


@dataclass(frozen=True)
class Lanes:
    """The channels of a sound at the model's rate; ``gain`` and ``offset`` lead back."""

    samples: tuple[Samples, ...]
    sample_rate: int
    source: Waveform
    gain: float
    offset: Samples

    @classmethod
    def of(cls, source: Waveform, sample_rate: int) -> Lanes:
        """The lanes of ``source`` at the model's ``sample_rate``."""
        channels = source.channels
        same = channels > 1 and bool((source.samples[:, 1:] == source.samples[:, :1]).all())
        heard = Waveform(source.samples[:, :1], source.sample_rate) if same else source
        offset = _offset(heard)
        centred = Waveform(heard.samples - offset, source.sample_rate)
        gain = _TRAINING_PEAK / centred.peak if centred.peak > 1e-5 else 1.0
        at_rate = centred.resample(sample_rate).samples * np.float32(gain)
        lanes = tuple(np.ascontiguousarray(lane) for lane in at_rate.T)
        return cls(lanes, sample_rate, source, gain, offset)

    def __len__(self) -> int:
        return len(self.samples)

    def encode(self, autoencoder: Autoencoder, samples: int) -> Latents:
        """Clean latents [lanes, C, T, F], padded with silence to ``samples``."""
        return np.stack(
            [
                autoencoder.encode(np.pad(lane[:samples], (0, max(0, samples - len(lane)))))
                for lane in self.samples
            ]
        )

    def restored(self, rendered: list[Samples]) -> Waveform:
        """Rendered lanes at the source's rate, length, level and number of channels."""
        sound = stacked(rendered, self.sample_rate).resample(self.source.sample_rate)
        samples = sound.crop(self.source.frames).samples / np.float32(self.gain) + self.offset
        if sound.channels < self.source.channels:
            samples = np.repeat(samples, self.source.channels, axis=1)
        return Waveform(np.ascontiguousarray(samples, np.float32), self.source.sample_rate)


def _offset(sound: Waveform) -> Samples:
    """The DC offset of each channel; 0 where the mean is only what music leaves over."""
    mean = sound.samples.mean(axis=0, dtype=np.float64)
    level = np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64), axis=0))
    return np.asarray(np.where(np.abs(mean) > _DC_SHARE * level, mean, 0.0), np.float32)


def stacked(lanes: list[Samples], sample_rate: int) -> Waveform:
    """One channel a lane."""
    return Waveform(np.ascontiguousarray(np.stack(lanes, axis=1), np.float32), sample_rate)
