"""Stereo and surround from a mono take, with a mono sum that is that take again.

Left is ``M + S`` and right ``M - S``, so the sum of both is ``M``, whatever ``S`` is. ``S`` is the
take through a filter of the take's seed: flat in the small, with a group delay that wanders, so
that no frequency is favoured and no echo is heard. Its level over frequency is the median of 569
stereo recordings; below 150 Hz there is none.

In 5.1 and 7.1 the front pair also carries what the downmix to stereo (ITU-R BS.775) adds of the
other speakers, with the opposite sign: that downmix is the stereo take again.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from server.audio.convolution import convolved, impulse_response
from server.audio.waveform import Samples, Waveform
from server.model.noise import Origin, generator, shares

__all__ = ["spread"]

_SIDE_DB: Final = (
    (250.0, -6.7),
    (500.0, -4.9),
    (1_000.0, -3.5),
    (2_000.0, -3.0),
    (4_000.0, -2.0),
    (8_000.0, -1.1),
    (16_000.0, -0.6),
)
"""Side against middle at width 1, medians of third octaves of the recordings."""
_BASS_HZ: Final = (150.0, 240.0)
"""Nothing below the first, all of it above the second."""
_SIDE_STREAM: Final = 2**41
_DELAYS_S: Final = (0.001, 0.018)
"""Limits of the group delay at high frequencies and at low ones."""
_KERNEL_S: Final = 0.1
_CENTRE: Final = 0.35
_BEHIND: Final = 0.5
_DOWNMIX: Final = np.sqrt(0.5)


def spread(
    sound: Waveform,
    channels: int,
    width: float,
    seed: int,
    *,
    circular: bool,
    origin: Origin | None = None,
) -> Waveform:
    """A mono ``sound`` on 2, 6 or 8 ``channels``.

    Args:
        sound: one channel.
        channels: 2, or 6 or 8 in the order of WAV files: L, R, C, LFE, then the pairs behind.
        width: 0 is the same sound on both sides, 1 as wide as a stereo recording.
        seed: of the filters.
        circular: the end of ``sound`` continues in its beginning.
        origin: the take that this one is a variation of.
    """
    mono, rate = sound.samples[:, 0], sound.sample_rate

    def filtered(number: int) -> Samples:
        kernels = [weight * _kernel(rate, one, number) for one, weight in shares(seed, origin)]
        return convolved(mono, np.sum(kernels, axis=0, dtype=np.float32), circular=circular)

    side = filtered(0) * np.float32(width) if width else np.zeros_like(mono)
    front = [mono + side, mono - side]
    if channels == 2:
        return Waveform(np.stack(front, axis=1), rate)
    centre = mono * np.float32(_CENTRE)
    behind = [filtered(k) * np.float32(_BEHIND * width) for k in range(1, channels - 3)]
    silence = np.zeros_like(mono)
    for pair in (0, 1):
        front[pair] = front[pair] - np.float32(_DOWNMIX) * (centre + sum(behind[pair::2]))
    return Waveform(np.stack([*front, centre, silence, *behind], axis=1), rate)


def _kernel(rate: int, seed: int, number: int) -> Samples:
    """Impulse response of a filter with the magnitude of real sides and a wandering delay."""
    length = 2 * round(_KERNEL_S * rate / 2)
    hz = np.fft.rfftfreq(length, 1.0 / rate)
    known, decibels = np.array(_SIDE_DB).T
    magnitude = 10.0 ** (np.interp(np.log(hz + 1.0), np.log(known), decibels) / 20.0)
    low, high = _BASS_HZ
    magnitude *= 0.5 - 0.5 * np.cos(np.pi * np.clip((hz - low) / (high - low), 0.0, 1.0))
    delay = _group_delay(hz, generator(seed, _SIDE_STREAM + number))
    phase = -2.0 * np.pi * np.cumsum(delay) * hz[1]
    return impulse_response(magnitude * np.exp(1j * phase))


def _group_delay(hz: Samples, numbers: np.random.Generator) -> Samples:
    """A delay for each frequency: independent every sixth of an octave, smooth between them."""
    octaves = np.log2(np.maximum(hz, 50.0) / 50.0)
    knots = np.arange(0.0, octaves[-1] + 1.0, 1.0 / 6.0)
    least, most = _DELAYS_S
    # Low frequencies need the longer delays: half a period of 200 Hz lasts 2.5 ms.
    longest = most * np.clip(2.0 ** (-(knots - 3.0) / 3.0), 0.3, 1.0)
    # What turns within 1.5 periods would begin before its cause.
    shortest = least + 1.5 / (50.0 * 2.0**knots)
    delays = shortest + np.maximum(longest - shortest, 0.0) * numbers.random(len(knots))
    return np.asarray(np.interp(octaves, knots, delays), np.float32)
