"""The vocoder: log-mel -> waveform, as the sum of sinusoids and short-time spectra.

Deterministic plus stochastic, as X. Serra and J. Smith have it (Computer Music Journal 14, 1990):
:class:`Partials` says which sinusoids sound, and their phases go on from frame to frame, so that
a note has the frequency it is given; :class:`Spectra` makes what is left, noise and hits.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from training.networks.mel import SAMPLE_RATE
from training.networks.projection import MelProjection
from training.networks.vocoder.cells import cell_centres
from training.networks.vocoder.low_notes import LowNotes
from training.networks.vocoder.onsets import without_pre_echo
from training.networks.vocoder.oscillators import Oscillators
from training.networks.vocoder.partials import Partials
from training.networks.vocoder.sinusoids import Sinusoids, Tones
from training.networks.vocoder.spectra import N_FFT, NUM_BINS, Spectra

__all__ = ["TunedVocoder", "Vocoder"]

CLEARANCE: Final = 1.1
"""Times the share of the power that is tonal, which the spectra leave to the sinusoids."""
QUIET: Final = 1e-10
"""Power below which nothing is tonal."""


class Vocoder(Spectra):
    """``log_mel [B, M, 64] -> waveform [B, 160 M]``, from spectra alone."""

    def __init__(self, width: int = 256, depth: int = 6) -> None:
        super().__init__(width, depth)
        self.projection = MelProjection()

    def forward(self, log_mel: Tensor) -> Tensor:
        """Waveform of ``log_mel``."""
        magnitude, phase = self.spectra(log_mel)
        return self.projection(self.synthesise(magnitude, phase), log_mel)


class TunedVocoder(Spectra):
    """``log_mel [B, M, 64] -> waveform [B, 160 M]``, with the phases and amplitudes of partials.

    The phases are what a long sound is joined by: a piece that is given those of the piece before
    goes on where that one was, and a ring closes if its phases drift by what they lack.
    """

    def __init__(
        self,
        partials: Partials,
        low_notes: LowNotes,
        width: int = 256,
        depth: int = 6,
    ) -> None:
        super().__init__(width, depth)
        self.projection = MelProjection()
        self.partials, self.low_notes = partials, low_notes
        self.sinusoids, self.oscillators = Sinusoids(), Oscillators()
        self.register_buffer("centres", cell_centres()[:, None], persistent=False)
        bins = torch.arange(NUM_BINS) * (SAMPLE_RATE / N_FFT)
        self.register_buffer("bins", bins, persistent=False)

    def forward(
        self,
        log_mel: Tensor,
        phase: Tensor | None = None,
        start: Tensor | None = None,
        drift: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Waveform, and phase and amplitude of the partials, ``[B, M, NUM_CELLS]`` each.

        Args:
            log_mel: Of AudioLDM's kind (:class:`training.networks.mel.LogMel`).
            phase: What the phases are in frame ``start``, in cycles, ``[B or 1, NUM_CELLS]``.
            start: int64 ``[1]``.
            drift: Cycles by which phases move on more than they would, a frame.
        """
        tones = self.sinusoids(self.partials(log_mel), self.low_notes(log_mel), phase, start, drift)
        magnitude, noise_phase = self.spectra(log_mel)
        noise = self.synthesise(magnitude * self._share_of_noise(tones), noise_phase)
        tonal = self.oscillators(tones.amplitude, tones.phase, tones.offset)
        waveform = self.projection(noise + tonal, log_mel)
        return without_pre_echo(waveform, log_mel), tones.phase, tones.amplitude

    def _share_of_noise(self, tones: Tones) -> Tensor:
        """Factor ``[B, M, 321]`` for the magnitudes of the spectra."""
        lobes = self._lobes()
        tonal, power = torch.matmul(tones.tonal, lobes), torch.matmul(tones.power, lobes)
        return torch.sqrt(torch.clamp(1.0 - CLEARANCE * tonal / (power + QUIET), min=0.0))

    def _lobes(self) -> Tensor:
        """What each bin of the spectra sees of the power in each cell, ``[NUM_CELLS, 321]``.

        The main lobe of a Hann window, which is two bins wide to either side, as cos^4.
        """
        distance = torch.clamp((self.centres - self.bins).abs() * (N_FFT / SAMPLE_RATE), max=2.0)
        return torch.cos(distance * (math.pi / 4)) ** 4
