"""Less sound before an onset than short-time spectra leave there.

A correction by whole frames of 64 ms spreads over what is before an onset as well. Encoders turn
such pre-echoes down by a gain in time (ISO/IEC 13818-7, "gain control"), and so does this.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.networks.mel import FLOOR, HOP_LENGTH

__all__ = ["without_pre_echo"]

AHEAD: Final = 2
"""Frames over which the rise of the level is measured."""
RISE: Final = 0.6
STEEP: Final = 1.2
"""Nepers of rise from which the sound is turned down, and at which by :data:`CUT`.

A mel sees an onset through a window of 64 ms; exactly at an onset it rises by 0.6.
"""
CUT: Final = 0.65


def without_pre_echo(waveform: Tensor, log_mel: Tensor) -> Tensor:
    """``waveform [B, 160 M]``, turned down where ``log_mel [B, M, 64]`` is about to rise."""
    level = torch.log(torch.exp(log_mel).mean(dim=2) + FLOOR)
    later = torch.cat((level[:, AHEAD:], level[:, -1:].expand(-1, AHEAD)), dim=1)
    steepness = torch.clamp((later - level - RISE) / (STEEP - RISE), 0.0, 1.0)
    gain = functional.interpolate(
        1.0 - CUT * steepness[:, None], scale_factor=float(HOP_LENGTH), mode="linear"
    )
    return waveform * gain[:, 0]
