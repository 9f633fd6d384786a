"""The noise schedule: timesteps for the unet, and the noise level before and after each.

A sampler needs two curves, alpha (signal) and sigma (noise), with
``x_t = alpha_t x_0 + sigma_t noise``. Diffusion and rectified flow differ in these curves only,
so that every sampler serves every model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from server.model.manifest import NoiseSchedule, Prediction

__all__ = ["Latents", "Spacing", "Steps", "alphas_cumprod", "make_steps", "steps_run"]

Latents = npt.NDArray[np.floating[Any]]
Curve = npt.NDArray[np.float64]
Spacing = Literal["leading", "linspace"]
"""leading: 1, 1 + c, 1 + 2c, ... as in the original DDIM; linspace: evenly from the noisiest."""

_TINY = 1e-9
"""Keeps log(alpha / sigma) finite at pure noise and at no noise."""
_LEAST_STRENGTH = 1e-4
"""Lower bound for flows, which divide by it; noise of that level is 80 dB under the clip."""


@dataclass(frozen=True)
class Steps:
    """A denoising run: ``timesteps`` [N] for the unet, ``alphas`` and ``sigmas`` [N + 1]."""

    timesteps: tuple[float, ...]
    alphas: tuple[float, ...]
    sigmas: tuple[float, ...]
    prediction: Prediction

    def __len__(self) -> int:
        return len(self.timesteps)

    @property
    def lambdas(self) -> tuple[float, ...]:
        """Half the log signal-to-noise ratio, [N + 1]."""
        return tuple(
            math.log(max(alpha, _TINY) / max(sigma, _TINY))
            for alpha, sigma in zip(self.alphas, self.sigmas, strict=True)
        )

    def add_noise(self, clean: Latents, noise: Latents, step: int) -> Latents:
        """Noise ``clean`` to the level before ``step``."""
        return self.alphas[step] * clean + self.sigmas[step] * noise

    def to_clean(self, x: Latents, output: Latents, step: int) -> Latents:
        """Estimate the clean latent from the unet's ``output`` at ``step``."""
        alpha, sigma = self.alphas[step], self.sigmas[step]
        if self.prediction == "flow":
            return x - sigma * output
        if self.prediction == "v_prediction":
            return alpha * x - sigma * output
        return (x - sigma * output) / alpha


def alphas_cumprod(schedule: NoiseSchedule) -> Curve:
    """Cumulative product of 1 - beta over the training timesteps, [num_train_timesteps].

    The betas are latent diffusion's "linear" ones: linear in their square root.
    """
    betas = np.linspace(
        schedule.beta_start**0.5, schedule.beta_end**0.5, schedule.num_train_timesteps
    )
    return np.asarray(np.cumprod(1.0 - betas**2), np.float64)


def steps_run(strength: float, num_steps: int) -> int:
    """Number of steps that are run for ``strength``: all for 1, at least one above 0.

    The noise is that of the first step that is run. The original AudioLDM noises to index
    ``int(strength * num_steps)`` but denoises from one index below; it runs no step for small
    strengths and fails for 1.
    """
    return max(1, round(strength * num_steps)) if strength > 0.0 else 0


def make_steps(
    schedule: NoiseSchedule, num_steps: int, spacing: Spacing, strength: float = 1.0
) -> Steps:
    """The last ``strength`` of a run of ``num_steps`` from pure noise to the clean latent.

    For diffusion, ``leading`` ends at the noise level of timestep 0, as the original DDIM does,
    and ``linspace`` at no noise. Both begin at a step of the whole run. Rectified flow runs from
    t = ``strength`` to t = 0, evenly except for its ``shift``. It begins exactly at ``strength``,
    so that a fader has no jumps even with few steps.
    """
    run = steps_run(strength, num_steps)
    if schedule.prediction == "flow":
        even = np.linspace(max(strength, _LEAST_STRENGTH) if run else 0.0, 0.0, run + 1)
        t = schedule.shift * even / (1.0 + (schedule.shift - 1.0) * even)
        timesteps = t[:-1] * schedule.num_train_timesteps
        return Steps(_floats(timesteps), _floats(1.0 - t), _floats(t), "flow")
    last = schedule.num_train_timesteps - 1
    kept = alphas_cumprod(schedule)
    if spacing == "leading":
        stride = schedule.num_train_timesteps // num_steps
        chosen = np.minimum(np.arange(num_steps)[::-1] * stride + 1, last)
        signal = np.append(kept[chosen], kept[0])
    else:
        chosen = np.linspace(0, last, num_steps + 1).round().astype(np.int64)[:0:-1]
        signal = np.append(kept[chosen], 1.0)
    first = num_steps - run
    return Steps(
        _floats(chosen[first:]),
        _floats(np.sqrt(signal[first:])),
        _floats(np.sqrt(1.0 - signal[first:])),
        schedule.prediction,
    )


def _floats(values: npt.NDArray[Any]) -> tuple[float, ...]:
    """Python floats: they keep float32 arithmetic in float32, NumPy's own float64 would not."""
    return tuple(float(value) for value in values)
