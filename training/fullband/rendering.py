"""The upper band as :mod:`server.fullband.synthesis` makes it, with gradients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from server.fullband.analysis import HOP, N_FFT, Array, band_power, inverse_stft, stft
from server.fullband.excitation import excitation, octave_of
from server.fullband.synthesis import SOURCE_FLOOR, bin_weights
from training.fullband.examples import Batch

__all__ = ["rendered", "upper_of"]


def rendered(
    batch: Batch, envelope: Tensor, share: Tensor, frames: slice, numbers: np.random.Generator
) -> Tensor:
    """Waveforms of ``frames`` for envelopes and shares of overtones [B, T, bands]."""
    device = envelope.device
    weights, ends = (torch.from_numpy(part).to(device) for part in bin_weights())
    total: Tensor | None = None
    for source, part in zip(_sources(batch, numbers), (1.0 - share, share), strict=True):
        spectra = np.stack([stft(sound)[frames] for sound in source])
        power = np.stack([band_power(spectrum) for spectrum in spectra])
        wanted = (envelope + torch.log(part.clamp(min=1e-6)))[:, frames]
        gains = 0.5 * (wanted - torch.log(torch.from_numpy(power).to(device) + SOURCE_FLOOR))
        shaped = torch.from_numpy(spectra).to(device) * (torch.exp(gains @ weights) * ends)
        total = shaped if total is None else total + shaped
    assert total is not None
    return _inverse(total)


def upper_of(batch: Batch, frames: slice) -> Array:
    """What is real of the upper band in ``frames``, [B, S]."""
    ends = bin_weights()[1]
    length = (frames.stop - frames.start) * HOP
    waves = [inverse_stft(stft(one.full)[frames] * ends, length) for one in batch.examples]
    return np.stack(waves)


def _sources(batch: Batch, numbers: np.random.Generator) -> list[list[Array]]:
    sources: list[list[Array]] = [[], []]
    for one in batch.examples:
        noise = numbers.standard_normal(len(one.low), np.float32)
        for kind, sound in zip(sources, excitation(octave_of(one.low), noise), strict=True):
            kind.append(sound)
    return sources


def _inverse(spectrum: Tensor) -> Tensor:
    """As :func:`server.fullband.analysis.inverse_stft`, one length a frame."""
    window = torch.hann_window(N_FFT, device=spectrum.device)
    scale = torch.sqrt(window.square().sum()) / 1.5
    waves = torch.fft.irfft(spectrum, N_FFT) * (window * scale)
    frames = spectrum.shape[1]
    blocks = waves.reshape(waves.shape[0], frames, -1, HOP)
    total = torch.zeros(waves.shape[0], frames + blocks.shape[2], HOP, device=spectrum.device)
    for place in range(blocks.shape[2]):
        padding = (0, 0, place, blocks.shape[2] - place)
        total = total + torch.nn.functional.pad(blocks[:, :, place], padding)
    return total.flatten(1)[:, N_FFT // 2 :][:, : frames * HOP]
