"""What is known of the result before it is made, held at every step (section 4.4 of
arXiv:2301.12503; RePaint, arXiv:2201.09865).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from server.model.noise import INITIAL_STREAM, KNOWN_STREAM
from server.model.schedule import Latents, Steps
from server.render.plan import Plan

__all__ = ["known_part"]


def known_part(
    planned: Plan, steps: Steps, noise: Callable[[int], Latents], takes: int
) -> Callable[[Latents, int], Latents] | None:
    """Puts what is known back into the latent, as noisy as the step wants it; None if nothing is.

    A deterministic run follows one trajectory, so the known part keeps the run's own noise; a
    stochastic one gets fresh noise at each step, as the original does. After the last step the
    known part is the clip's own latent.
    """
    known = planned.known
    if known is None:
        return None
    clean = np.tile(known.clean, (takes, 1, 1, 1))
    initial = noise(INITIAL_STREAM)

    def hold(x: Latents, i: int) -> Latents:
        if i == len(steps):
            return np.where(known.mask, clean, x)
        fresh = noise(KNOWN_STREAM + i) if planned.settings.eta else initial
        return np.where(known.mask, steps.add_noise(clean, fresh, i), x)

    return hold
