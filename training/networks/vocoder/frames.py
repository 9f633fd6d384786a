"""Short-time Fourier transform and its inverse as small matrix products.

The window is symmetric, so cosines need only the sum of a frame and its mirror image and sines
only the difference; folded once more, even bins need one half of that and odd bins the other
(the first step of a decimation in frequency; J. Cooley and J. Tukey, Math. Comp. 19, 1965). That
is a quarter of the multiplications of a product with the whole matrix, in operators that every
ONNX Runtime has. Its own DFT operator is slower.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.networks.mel import HOP_LENGTH

__all__ = ["Frames"]


class Frames(nn.Module):
    """Periodic-Hann frames of ``n_fft`` samples, a multiple of 4, centred at ``160 k + 80``.

    Bins stand in the order :attr:`order`: the even ones, then the odd ones. The bases are looked
    up in one period of a cosine inside the graph, which ONNX Runtime folds when it loads it.
    """

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.n_fft, self.quarter = n_fft, n_fft // 4
        self.padding = (n_fft - HOP_LENGTH) // 2
        even, odd = torch.arange(0, n_fft // 2 + 1, 2), torch.arange(1, n_fft // 2, 2)
        self.order = torch.cat((even, odd))
        self.num_even = len(even)
        angle = torch.arange(n_fft).double() * (2.0 * math.pi / n_fft)
        self.register_buffer("cosine", torch.cos(angle).float(), persistent=False)
        self.register_buffer("even", even.float(), persistent=False)
        self.register_buffer("odd", odd.float(), persistent=False)
        steps = torch.arange(self.quarter + 1)
        self.register_buffer("steps", steps[:, None].float(), persistent=False)
        halves = torch.ones(self.quarter + 1, 1)
        halves[-1] = 0.5
        self.register_buffer("halves", halves, persistent=False)
        window = torch.hann_window(n_fft)[1 : n_fft // 2 + 1].clone()
        self.register_buffer("window", window, persistent=False)
        weight = torch.full((n_fft // 2 + 1,), 2.0 / n_fft)
        weight[[0, -1]] = 1.0 / n_fft
        self.register_buffer("weight", weight[self.order], persistent=False)

    def bases(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cosines of even and odd bins, then sines: ``[n_fft / 4 + 1, bins]`` each."""
        cosines = [self._looked_up(self.steps * bins, 0) for bins in (self.even, self.odd)]
        sines = [self._looked_up(self.steps * bins, self.quarter) for bins in (self.even, self.odd)]
        return cosines[0], cosines[1], sines[0], sines[1]

    def analyse(self, waveform: Tensor, bases: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Real and imaginary part ``[B, M, n_fft / 2 + 1]`` of ``waveform [B, 160 M]``."""
        frames = self._cut(waveform)
        first = frames[..., 1 : self.n_fft // 2 + 1]
        second = torch.flip(frames[..., self.n_fft // 2 :], (-1,))
        middle = self._middle(self.window)
        sums, differences = (first + second) * middle, (first - second) * middle
        low, high = self._folded(sums)
        real = self._both(low + high, low - high, bases[0], bases[1])
        low, high = self._folded(differences)
        imaginary = self._both(high - low, -(low + high), bases[2], bases[3])
        return real, imaginary

    def synthesise(self, real: Tensor, imaginary: Tensor, bases: tuple[Tensor, ...]) -> Tensor:
        """Windowed frames of a spectrum, added up: ``[B, 160 M]``; not yet divided by anything."""
        cosines = self._unfolded(real * self.weight, bases[0], bases[1], 1.0)
        sines = self._unfolded(imaginary * -self.weight, bases[2], bases[3], -1.0)
        first = (cosines + sines) * self.window
        second = torch.flip(((cosines - sines) * self.window)[..., :-1], (-1,))
        return self._added(functional.pad(torch.cat((first, second), dim=-1), (1, 0)))

    def overlap(self, like: Tensor) -> Tensor:
        """Sum of the squared windows ``[1, 160 M]`` for as many frames as ``like [B, M, ?]``."""
        mirrored = torch.flip(self.window[:-1], (0,))
        window = functional.pad(torch.cat((self.window, mirrored)), (1, 0))
        return self._added(torch.ones_like(like[:1, :, :1]) * window * window)

    def _looked_up(self, phase: Tensor, behind: int) -> Tensor:
        phase = phase - behind + self.n_fft
        phase = phase - torch.floor(phase / self.n_fft) * self.n_fft
        return self.cosine[phase.long()]

    def _middle(self, window: Tensor) -> Tensor:
        """The window; the sample in the middle is counted twice and so halved."""
        return torch.cat((window[:-1], 0.5 * window[-1:]))

    def _cut(self, waveform: Tensor) -> Tensor:
        padded = functional.pad(waveform[:, None], (self.padding, self.padding), mode="reflect")
        spare = -self.n_fft % HOP_LENGTH
        hops = functional.pad(padded[:, 0], (0, spare))
        hops = hops.reshape(hops.shape[0], -1, HOP_LENGTH)
        reach = (self.n_fft + spare) // HOP_LENGTH
        parts = [hops[:, first : (first + 1 - reach) or None] for first in range(reach)]
        return torch.cat(parts, dim=2)[..., : self.n_fft]

    def _added(self, frames: Tensor) -> Tensor:
        spare = -self.n_fft % HOP_LENGTH
        reach = (self.n_fft + spare) // HOP_LENGTH
        parts = functional.pad(frames, (0, spare)).chunk(reach, dim=-1)
        total = functional.pad(parts[0], (0, 0, 0, reach - 1))
        for late, part in enumerate(parts[1:], start=1):
            total = total + functional.pad(part, (0, 0, late, reach - 1 - late))
        return total.flatten(1)[:, self.padding : self.padding - self.n_fft + HOP_LENGTH - spare]

    def _folded(self, half: Tensor) -> tuple[Tensor, Tensor]:
        """Samples 0 to n/4 and their mirror images about n/4, of samples 1 to n/2."""
        low = functional.pad(half[..., : self.quarter], (1, 0))
        return low, torch.flip(half, (-1,))[..., : self.quarter + 1]

    def _both(self, even: Tensor, odd: Tensor, *bases: Tensor) -> Tensor:
        parts = (
            torch.matmul(even, bases[0] * self.halves),
            torch.matmul(odd, bases[1] * self.halves),
        )
        return torch.cat(parts, dim=-1)

    def _unfolded(self, bins: Tensor, even: Tensor, odd: Tensor, sign: float) -> Tensor:
        """Samples 1 to n/2 of a sum of cosines (``sign`` 1) or sines (-1)."""
        evens = torch.matmul(bins[..., : self.num_even], even.T)
        odds = torch.matmul(bins[..., self.num_even :], odd.T)
        low, high = evens + odds, sign * (evens - odds)
        return torch.cat((low[..., 1:], torch.flip(high[..., :-1], (-1,))), dim=-1)
