"""From a plan to clean latents: noise, guidance, sampler, and the known part of a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from server.model.manifest import Manifest
from server.model.noise import FIRST_STEP_STREAM, INITIAL_STREAM, KNOWN_STREAM
from server.model.schedule import Latents, Steps, make_steps
from server.render.denoise import GuidedUnet, UnetCall, Work
from server.render.plan import Plan
from server.render.samplers import SAMPLERS, SPACINGS, OnEstimate, OnStep, sample
from server.requests.notation import Notation

__all__ = ["Diffusion"]


class Diffusion:
    """The denoising run of one plan by the model that ``manifest`` describes."""

    def __init__(self, manifest: Manifest, planned: Plan) -> None:
        self._manifest = manifest
        self._plan = planned
        self._sampler = planned.settings.sampler
        self.steps = make_steps(
            manifest.schedule,
            planned.settings.num_inference_steps,
            SPACINGS[self._sampler],
            planned.strength,
        )
        """The steps that are run."""

    def latents(
        self,
        seeds: Sequence[int],
        frames_a_call: int,
        on_step: OnStep,
        on_estimate: OnEstimate[UnetCall | None] | None = None,
    ) -> Work[Latents]:
        """Denoise one take for each of ``seeds``, all together.

        Args:
            seeds: seeds of the takes; a take does not depend on the others.
            frames_a_call: latent frames that a unet call holds at most.
            on_step: called after each step.
            on_estimate: receives the estimates of the first take, [channels, C, T, F].

        Returns:
            clean latents, [len(seeds), channels, C, T, F].
        """
        plan, steps = self._plan, self.steps

        def noise(stream: int) -> Latents:
            return np.concatenate([plan.noise(seed, stream) for seed in seeds])

        x = noise(INITIAL_STREAM)
        channels = len(x) // len(seeds)
        if plan.start is not None:
            start = np.tile(plan.start, (len(seeds), 1, 1, 1))
            x = steps.add_noise(start, x, 0) if len(steps) else start
        constrain = _known_part(plan, steps, noise, len(seeds))

        def takes_of(x: Latents) -> Latents:
            whole = constrain(x, len(steps)) if constrain else x
            return whole.reshape(len(seeds), channels, *x.shape[1:])

        x = yield from sample(
            self._denoiser(seeds, channels, frames_a_call),
            x,
            steps,
            SAMPLERS[self._sampler](
                steps, plan.settings.eta, lambda i: noise(FIRST_STEP_STREAM + i)
            ),
            constrain=constrain,
            on_step=on_step,
            on_estimate=on_estimate and (lambda clean, done: on_estimate(takes_of(clean)[0], done)),
        )
        return takes_of(x)

    def _denoiser(self, seeds: Sequence[int], channels: int, frames_a_call: int) -> GuidedUnet:
        plan = self._plan
        conditions = np.stack([plan.conditions(seed) for seed in seeds])
        return GuidedUnet(
            self.steps,
            plan.windows,
            np.repeat(conditions, channels, axis=0),
            plan.unconditional,
            plan.settings.guidance_scale,
            plan.settings.guidance_end,
            frames_a_call,
            _notation_columns(plan.notation, self._manifest),
        )


def _notation_columns(
    notation: Notation, manifest: Manifest
) -> Callable[[int], tuple[float, ...]] | None:
    """Numbers for a window from its first latent frame; None where the unet takes none."""
    if not manifest.notation:
        return None
    seconds = manifest.seconds_per_latent_frame
    return lambda first: notation.columns(first * seconds)


def _known_part(
    planned: Plan, steps: Steps, noise: Callable[[int], Latents], takes: int
) -> Callable[[Latents, int], Latents] | None:
    """Resets the known part of the latent, at the noise level of the step.

    A deterministic run follows one trajectory, so the known part keeps the run's own noise. A
    stochastic run adds fresh noise at each step, as the original does. After the last step the
    known part is the clip's own latent.
    """
    known = planned.known
    if known is None:
        return None
    clean = np.tile(known.clean, (takes, 1, 1, 1))
    initial = noise(INITIAL_STREAM)

    def constrain(x: Latents, i: int) -> Latents:
        if i == len(steps):
            return np.where(known.mask, clean, x)
        fresh = noise(KNOWN_STREAM + i) if planned.settings.eta else initial
        return np.where(known.mask, steps.add_noise(clean, fresh, i), x)

    return constrain
