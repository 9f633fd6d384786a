"""Samplers: from the unet's estimate of the clean latent to the next, less noisy latent.

A sampler is a function ``(steps, eta, noise) -> advance``; ``advance(x, clean, i)`` performs step
``i``. It depends on alpha and sigma only, and so serves diffusion and rectified flow alike. DDIM
on a flow is Euler's method.

To add one: write such a function, enter it in ``SAMPLERS`` and ``SPACINGS``, and add its name to
``Sampler`` in :mod:`server.requests.request_fields`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar

from server.model.noise import NoiseSource
from server.model.schedule import Latents, Spacing, Steps

__all__ = ["SAMPLERS", "SPACINGS", "ddim", "dpmpp_2m", "sample", "unipc"]

Advance = Callable[[Latents, Latents, int], Latents]
Sampler = Callable[[Steps, float, NoiseSource], Advance]
Call = TypeVar("Call")
Denoise = Callable[[Latents, int], Generator[Call, Any, Latents]]
"""Estimates the clean latent at a step; :func:`sample` passes on what it yields."""
Constrain = Callable[[Latents, int], Latents]
OnStep = Callable[[int, int], None]
"""Called after each step with (steps done, all steps); an exception ends the run."""
OnEstimate = Callable[[Latents, int], Generator[Call, Any, None]]
"""Receives the estimate of the clean latent after each step, and the steps done."""


def sample(
    denoise: Denoise[Call],
    x: Latents,
    steps: Steps,
    advance: Advance,
    *,
    constrain: Constrain | None = None,
    on_step: OnStep,
    on_estimate: OnEstimate[Call] | None = None,
) -> Generator[Call, Any, Latents]:
    """Denoise ``x`` to the end of ``steps``.

    Args:
        denoise: estimates the clean latent.
        x: the noisy latent, [B, C, T, F].
        steps: timesteps and noise levels.
        advance: the sampler.
        constrain: replaces the known part of ``x`` before each step (inpainting).
        on_step: called after each step.
        on_estimate: receives the estimates; it changes nothing.

    Returns:
        the clean latent, [B, C, T, F].
    """
    for i in range(len(steps)):
        if constrain is not None:
            x = constrain(x, i)
        clean = yield from denoise(x, i)
        x = advance(x, clean, i)
        on_step(i + 1, len(steps))
        if on_estimate is not None:
            yield from on_estimate(clean, i + 1)
    return x


def ddim(steps: Steps, eta: float, noise: NoiseSource) -> Advance:
    """Equation 12 of arXiv:2010.02502; ``eta`` 0 is deterministic, 1 is ancestral sampling."""

    def advance(x: Latents, clean: Latents, i: int) -> Latents:
        alpha, sigma = steps.alphas[i], steps.sigmas[i]
        alpha_next, sigma_next = steps.alphas[i + 1], steps.sigmas[i + 1]
        residual = (x - alpha * clean) / sigma
        added = variance = 0.0
        if eta:
            variance = sigma**2 - (alpha / alpha_next * sigma_next) ** 2
            added = eta * sigma_next / sigma * math.sqrt(max(variance, 0.0))
        kept = math.sqrt(max(sigma_next**2 - added**2, 0.0))
        x = alpha_next * clean + kept * residual
        return x + added * noise(i) if added else x

    return advance


def dpmpp_2m(steps: Steps, eta: float, noise: NoiseSource) -> Advance:
    """DPM-Solver++(2M), Algorithm 2 of arXiv:2211.01095, midpoint form."""
    lambdas = steps.lambdas
    last = len(steps) - 1
    previous: list[Latents] = []

    def advance(x: Latents, clean: Latents, i: int) -> Latents:
        h = lambdas[i + 1] - lambdas[i]
        # A short run ends with a first-order step, as does one that ends at no noise at all:
        # the second-order term is unstable there.
        final = i == last and (len(steps) < 15 or steps.sigmas[i + 1] == 0.0)
        blend = clean
        if previous and not final:
            ratio = (lambdas[i] - lambdas[i - 1]) / h
            blend = clean + (0.5 / ratio) * (clean - previous[0])
        previous[:] = [clean]
        ahead = -steps.alphas[i + 1] * math.expm1(-h)
        return (steps.sigmas[i + 1] / steps.sigmas[i]) * x + ahead * blend

    return advance


def unipc(steps: Steps, eta: float, noise: NoiseSource) -> Advance:
    """UniPC of order 2 with B_2(h), Algorithms 5 and 6 of arXiv:2302.04867, on data prediction."""
    cleans: list[Latents] = []
    before: list[tuple[Latents, int]] = []

    def advance(x: Latents, clean: Latents, i: int) -> Latents:
        if before:
            x = _correct(steps, i, before[0], cleans, clean)
        cleans[:] = [*cleans[-1:], clean]
        order = min(2, len(steps) - i, len(cleans))
        before[:] = [(x, order)]
        return _predict(steps, i, order, x, cleans)

    return advance


def _base(steps: Steps, start: int, x: Latents, clean: Latents) -> tuple[Latents, float, float]:
    """First-order step from ``start``; with it hh = -h and alpha * (exp(hh) - 1)."""
    hh = -(steps.lambdas[start + 1] - steps.lambdas[start])
    grow = steps.alphas[start + 1] * math.expm1(hh)
    ratio = steps.sigmas[start + 1] / steps.sigmas[start]
    return ratio * x - grow * clean, hh, grow


def _slope(steps: Steps, i: int, cleans: list[Latents]) -> tuple[Latents, float]:
    """Divided difference of the two newest estimates before step ``i + 1``, and its ratio r."""
    lambdas = steps.lambdas
    r = (lambdas[i - 1] - lambdas[i]) / (lambdas[i + 1] - lambdas[i])
    return (cleans[-2] - cleans[-1]) / r, r


def _predict(steps: Steps, i: int, order: int, x: Latents, cleans: list[Latents]) -> Latents:
    x, _, grow = _base(steps, i, x, cleans[-1])
    if order == 1:
        return x
    return x - (0.5 * grow) * _slope(steps, i, cleans)[0]


def _correct(
    steps: Steps, i: int, before: tuple[Latents, int], cleans: list[Latents], clean: Latents
) -> Latents:
    """The latent of step ``i - 1`` taken to step ``i`` again, now knowing ``clean`` there."""
    x, order = before
    x, hh, grow = _base(steps, i - 1, x, cleans[-1])
    change = clean - cleans[-1]
    if order == 1:
        return x - (0.5 * grow) * change
    slope, r = _slope(steps, i - 1, cleans)
    scale = math.expm1(hh)
    phi_2 = scale / hh - 1.0
    phi_3 = phi_2 / hh - 0.5
    # [[1, 1], [r, 1]] rhos = [phi_2, 2 phi_3] / B(h), equation 10 of the paper.
    new = (2.0 * phi_3 - r * phi_2) / (scale * (1.0 - r))
    old = phi_2 / scale - new
    return x - grow * (old * slope + new * change)


SAMPLERS: Final[dict[str, Sampler]] = {"ddim": ddim, "dpmpp_2m": dpmpp_2m, "unipc": unipc}
SPACINGS: Final[dict[str, Spacing]] = {
    "ddim": "leading",
    "dpmpp_2m": "linspace",
    "unipc": "linspace",
}
