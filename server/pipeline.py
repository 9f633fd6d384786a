"""The heart: a request becomes takes.

prompt -> text_encoder -> unet (num_inference_steps times) -> vae_decoder -> vocoder -> take
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from server.delivery import below_ceiling
from server.denoise import GuidedUnet
from server.errors import RenderError
from server.manifest import COMPONENTS, Manifest
from server.noise import FIRST_STEP_STREAM, batch_noise
from server.plan import Plan, plan
from server.recipe import Recipe
from server.request import Request, TextToAudio, resolve, settled, validate
from server.samplers import SAMPLERS, SPACINGS, sample
from server.schedule import Latents, make_steps
from server.session import Device, Graph, default_threads, providers_for
from server.text import TextEncoder
from server.waveform import FORMATS, FileFormat, Samples, Waveform

__all__ = ["OnStep", "Pipeline", "Take"]

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Take:
    """One finished render, with the recipe that makes it again."""

    waveform: Waveform
    recipe: Recipe
    measures: dict[str, Any]

    file_format: FileFormat = "wav24"

    @property
    def extension(self) -> str:
        """How the name of its file ends, without the dot."""
        return FORMATS[self.file_format][0].lower()

    def encode(self) -> bytes:
        """The bytes of the audio file, the recipe in its metadata."""
        return self.waveform.encode(self.file_format, self.recipe.to_json())


class Pipeline:
    """A model folder ready to render. Graphs are loaded when they are first needed.

    Raises:
        ModelError: the folder is not a usable model folder.
    """

    def __init__(self, folder: Path, device: Device = "auto", threads: int = 0) -> None:
        self.manifest = Manifest.load(folder)
        providers = providers_for(device)
        threads = threads or default_threads()
        self.graphs = {
            name: Graph(folder / f"{name}.onnx", providers, threads) for name in COMPONENTS
        }
        self.text = TextEncoder(folder, self.manifest, self.graphs["text_encoder"])

    def warm_up(self) -> None:
        """Load what a text prompt needs, so that the first take is as quick as the tenth."""
        self.render(TextToAudio(prompt="warm up", num_inference_steps=1, audio_length_in_s=0.5))

    def render(self, request: Request, on_step: OnStep = lambda done, total: None) -> list[Take]:
        """All takes of ``request``.

        ``on_step`` is called after each denoising step; an exception it raises ends the render.

        Raises:
            InvalidRequest: a value is out of range.
            RenderError: ONNX Runtime failed.
        """
        request = resolve(validate(request), self.manifest)
        planned = plan(request, self)
        first = request.seed or 0
        seeds = range(first, first + request.num_waveforms_per_prompt)
        latents = self.denoise(request, planned, seeds, on_step)
        waves = self.decode(latents)[:, : planned.samples]
        return [self._deliver(request, seed, wave) for seed, wave in zip(seeds, waves, strict=True)]

    def denoise(
        self, request: Request, planned: Plan, seeds: Sequence[int], on_step: OnStep
    ) -> Latents:
        """Clean latents [B, C, T, F], one a seed."""
        sampler = settled(request.sampler)
        num_steps = settled(request.num_inference_steps)
        steps = make_steps(self.manifest.schedule, num_steps, SPACINGS[sampler])
        denoiser = GuidedUnet(
            self.graphs["unet"],
            steps,
            planned.windows,
            planned.condition,
            planned.unconditional,
            settled(request.guidance_scale),
        )

        def fresh_noise(step: int) -> Latents:
            stream = FIRST_STEP_STREAM + step
            return batch_noise(seeds, stream, self.manifest.latent, planned.windows.total)

        return sample(
            denoiser,
            np.stack([planned.noise(seed) for seed in seeds]),
            steps,
            SAMPLERS[sampler](steps, request.eta, fresh_noise),
            on_step=on_step,
        )

    def decode(self, latents: Latents) -> Samples:
        """Waveforms [B, samples] at the model's rate from clean ``latents`` [B, C, T, F]."""
        scaled = (latents / self.manifest.latent.scale_factor).astype(np.float32)
        log_mel = self.graphs["vae_decoder"](latent=scaled)[0]
        waves = self.graphs["vocoder"](log_mel=log_mel)[0]
        return waves[:, : log_mel.shape[1] * self.manifest.hop_length]

    def _deliver(self, request: Request, seed: int, wave: Samples) -> Take:
        """One take as a file of its own would have it: its rate, its channels, its recipe."""
        if not np.isfinite(wave).all():
            raise RenderError(f"seed {seed} came out as numbers that are no sound (NaN)")
        delivery = request.delivery
        sound = Waveform.mono(wave, self.manifest.sample_rate).resample(
            delivery.sample_rate or 48000
        )
        sound, measures = below_ceiling(sound.as_channels(delivery.channels or 1))
        alone = msgspec.structs.replace(request, seed=seed, num_waveforms_per_prompt=1)
        return Take(
            sound, Recipe.of(alone, self.manifest), measures, delivery.file_format or "wav24"
        )
