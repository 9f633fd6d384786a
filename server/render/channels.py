"""A clip's audio channels as the model takes them: its sample rate, its training level.

VAE, unet and vocoder process each channel separately, and do not keep its phase. So channels that
are the same sound, softer or inverted, are processed once. The others keep their correlation, and
with it the width of the clip. The level and the DC offset that are removed here are restored on
the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from server.audio.splice import Mask
from server.audio.waveform import Samples, Waveform
from server.audio.width import correlation, mixing_of, with_correlation
from server.model.autoencoder import Autoencoder
from server.model.noise import Mixing
from server.model.schedule import Latents

__all__ = ["Channels", "stacked"]

_TRAINING_PEAK: Final = 0.5
"""AudioLDM normalises its training clips to this peak."""
_DC_SHARE: Final = 0.1
"""Ratio of the mean to the level above which the mean counts as a DC offset."""
_SAME: Final = 0.9999
"""Absolute correlation from which two channels are the same sound."""
_SILENT_SHARE: Final = 1e-8
"""Share of the loudest channel's power below which a channel counts as silent."""


@dataclass(frozen=True)
class Channels:
    """The distinct channels of ``source`` at the model's rate, with its ``gain`` and ``offset``."""

    samples: tuple[Samples, ...]
    sample_rate: int
    source: Waveform
    gain: float
    offset: Samples
    spread: npt.NDArray[np.float32]
    """Gain from each distinct channel to each channel of ``source``, [distinct, channels]."""
    correlation: npt.NDArray[np.float64]
    """Correlation of the distinct channels, [distinct, distinct]."""

    @classmethod
    def of(cls, source: Waveform, sample_rate: int, kept: Mask | None = None) -> Channels:
        """Convert ``source`` to the model's ``sample_rate`` and training level.

        Args:
            source: the sound.
            sample_rate: of the model.
            kept: True for the samples that show how the channels relate; None: all.
        """
        offset = _offset(source)
        centred = source.samples - offset
        shown = centred if kept is None or not centred[kept].any() else centred[kept]
        related = correlation(shown)
        distinct, spread = _distinct(shown, related)
        peak = float(np.abs(centred).max(initial=0.0))
        gain = _TRAINING_PEAK / peak if peak > 1e-5 else 1.0
        own = Waveform(np.ascontiguousarray(centred[:, distinct]), source.sample_rate)
        at_rate = own.resample(sample_rate).samples * np.float32(gain)
        channels = tuple(np.ascontiguousarray(channel) for channel in at_rate.T)
        own_related = related[np.ix_(distinct, distinct)]
        return cls(channels, sample_rate, source, gain, offset, spread, own_related)

    def __len__(self) -> int:
        return len(self.samples)

    def mixing(self, channels: int) -> Mixing:
        """Mixing matrix of the noise of ``channels`` channels, of which these are the first."""
        mixing = np.eye(channels, dtype=np.float32)
        # The model keeps no phase: inverted channels get equal noise, and are inverted afterwards.
        mixing[: len(self), : len(self)] = mixing_of(np.abs(self.correlation))
        return mixing

    def encode(self, autoencoder: Autoencoder, samples: int) -> Latents:
        """Clean latents [channels, C, T, F] of the sound, padded with silence to ``samples``."""
        return np.stack(
            [
                autoencoder.encode(np.pad(channel[:samples], (0, max(0, samples - len(channel)))))
                for channel in self.samples
            ]
        )

    def restored(
        self, rendered: list[Samples], frames: int | None = None, new: slice | None = None
    ) -> Waveform:
        """Rendered channels at the source's rate, level, number of channels and width.

        Args:
            rendered: the distinct channels, at the model's rate.
            frames: length of the result; None: as long as the source.
            new: the part that gets the width of the source; None: all.
        """
        rate = self.source.sample_rate
        sound = stacked(rendered, self.sample_rate).resample(rate)
        samples = self.widened(sound.crop(frames or self.source.frames), new).samples
        samples = samples / np.float32(self.gain) + self.offset
        return self.source.with_samples(np.ascontiguousarray(samples, np.float32))

    def widened(self, sound: Waveform, new: slice | None = None) -> Waveform:
        """Distinct channels as all channels of the source, related as there in the part ``new``."""
        samples = with_correlation(sound.samples, self.correlation, new) @ self.spread
        return self.source.with_samples(
            np.ascontiguousarray(samples, np.float32), sound.sample_rate
        )


def _offset(sound: Waveform) -> Samples:
    """The DC offset of each channel; 0 where the mean is small against the level."""
    mean = sound.samples.mean(axis=0, dtype=np.float64)
    level = np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64), axis=0))
    return np.asarray(np.where(np.abs(mean) > _DC_SHARE * level, mean, 0.0), np.float32)


def _distinct(
    samples: Samples, related: npt.NDArray[np.float64]
) -> tuple[list[int], npt.NDArray[np.float32]]:
    """The channels that are sounds of their own, and how all are made of them.

    Args:
        samples: the channels, [frames, channels].
        related: their correlation.

    Returns:
        indices of the distinct channels, and their gain into each channel, [distinct, channels].
    """
    if samples.shape[1] == 1:
        return [0], np.ones((1, 1), np.float32)
    power = np.mean(np.square(samples, dtype=np.float64), axis=0)
    loudest = float(power.max())
    distinct: list[int] = []
    made_of: list[tuple[int, float]] = []
    for channel in range(samples.shape[1]):
        own = next((k for k in distinct if abs(related[k, channel]) >= _SAME), None)
        if own is None and not _is_silent(power, channel, loudest):
            distinct.append(channel)
            own = channel
        if own is None:
            made_of.append((-1, 0.0))
        else:
            level = np.sqrt(power[channel] / power[own]) if power[own] else 1.0
            made_of.append((own, float(np.copysign(level, related[own, channel]))))
    spread = np.zeros((max(1, len(distinct)), samples.shape[1]), np.float32)
    for channel, (own, gain) in enumerate(made_of):
        if own >= 0:
            spread[distinct.index(own), channel] = gain
    return (distinct, spread) if distinct else ([0], np.ones_like(spread))


def _is_silent(power: npt.NDArray[np.float64], channel: int, loudest: float) -> bool:
    return bool(power[channel] <= _SILENT_SHARE * loudest)


def stacked(channels: list[Samples], sample_rate: int) -> Waveform:
    """One waveform from the samples of its channels."""
    return Waveform(np.ascontiguousarray(np.stack(channels, axis=1), np.float32), sample_rate)
