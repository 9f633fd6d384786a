"""The notation: note, tempo and place in the bar, as a condition beside the CLAP embedding.

CLAP embeddings describe the sound, but hardly its note or tempo. So three numbers follow the
embedding: the MIDI note (0: none), the tempo in beats a minute (0: none), and the beats before
the first frame. Here they become maps for the denoiser. A note is a comb of its partials over the
mel bands. A tempo is a set of sinusoids that repeat each bar, half bar, beat, eighth, sixteenth.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

from server.model.mel import KNEE_HZ, KNEE_MEL, LOG_STEP, hz_to_mel
from server.requests.notation import COLUMNS
from training.networks.mel import HOP_LENGTH, NUM_MELS, SAMPLE_RATE

__all__ = ["COLUMNS", "MAP_CHANNELS", "MEL_PER_LATENT", "NOTE_FEATURES", "NotationMap"]

PARTIALS: Final = 24
CYCLES_A_BEAT: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
MEL_PER_LATENT: Final = 4
NOTE_FEATURES: Final = 2 * NUM_MELS + 2
MAP_CHANNELS: Final = 2 * MEL_PER_LATENT + 2 * len(CYCLES_A_BEAT)


class NotationMap(nn.Module):
    """``notation [B, 3], T -> features [B, 130], map [B, 18, T, 16]``; zeros for nothing."""

    bands: Tensor
    partials: Tensor
    cycles: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bands", torch.arange(NUM_MELS).float(), persistent=False)
        self.register_buffer("partials", torch.arange(1, PARTIALS + 1).float(), persistent=False)
        cycles = 2.0 * math.pi * torch.tensor(CYCLES_A_BEAT)
        self.register_buffer("cycles", cycles, persistent=False)

    def forward(self, notation: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Drawn for ``frames`` latent frames."""
        note, tempo, beats = notation.unbind(-1)
        has_note, has_tempo = (note > 0).to(notation.dtype), (tempo > 0).to(notation.dtype)
        comb = self._comb(note) * has_note[:, None, None]  # [B, 2, 64]
        rows = comb.unflatten(-1, (-1, MEL_PER_LATENT)).transpose(2, 3).flatten(1, 2)  # [B, 8, 16]
        waves = self._waves(tempo, beats, frames) * has_tempo[:, None, None]  # [B, 10, T]
        bins = NUM_MELS // MEL_PER_LATENT
        drawn = torch.cat(
            (
                rows[:, :, None].expand(-1, -1, frames, -1),
                waves[..., None].expand(-1, -1, -1, bins),
            ),
            dim=1,
        )
        flags = torch.stack((has_note, has_tempo), dim=-1)
        return torch.cat((comb.flatten(1), flags), dim=-1), drawn

    def _comb(self, note: Tensor) -> Tensor:
        """How much of all partials, and of the first, falls into each mel band: ``[B, 2, 64]``."""
        hertz = 440.0 * torch.exp((note - 69.0) * (math.log(2.0) / 12.0))
        place = _band(hertz[:, None] * self.partials)
        share = torch.relu(1.0 - (place[..., None] - self.bands).abs())  # [B, partials, 64]
        weighted = (share * torch.rsqrt(self.partials)[:, None]).sum(1)
        return torch.stack((weighted, share[:, 0]), dim=1)

    def _waves(self, tempo: Tensor, beats: Tensor, frames: int) -> Tensor:
        seconds = (torch.arange(frames, device=tempo.device) + 0.5) * (
            MEL_PER_LATENT * HOP_LENGTH / SAMPLE_RATE
        )
        place = beats[:, None] + tempo[:, None] / 60.0 * seconds
        angles = place[:, None] * self.cycles[:, None]
        return torch.cat((torch.cos(angles), torch.sin(angles)), dim=1)


def _band(hertz: Tensor) -> Tensor:
    """The mel band, as a real number, in whose middle a frequency lies (Slaney's scale)."""
    below = hertz * (KNEE_MEL / KNEE_HZ)
    above = KNEE_MEL + torch.log(hertz.clamp(min=KNEE_HZ) / KNEE_HZ) / LOG_STEP
    mel = torch.where(hertz < KNEE_HZ, below, above)
    highest = float(hz_to_mel(SAMPLE_RATE / 2.0))
    return mel * ((NUM_MELS + 1) / highest) - 1.0
