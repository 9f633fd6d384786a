"""The same prompt, the same first latents: our engine and diffusers' AudioLDMPipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from server.render.pipeline import Pipeline
from server.render.plan import plan
from server.requests.request import Delivery, TextToAudio, validate
from server.requests.resolved import resolve

__all__ = ["EndToEnd", "relative_error"]

Sound = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EndToEnd:
    """One job, for both engines: DDIM with eta 0 from given latents."""

    prompt: str = "a dog barking, far away"
    negative_prompt: str = ""
    audio_length_in_s: float = 2.56
    num_inference_steps: int = 10
    guidance_scale: float = 2.5

    def latents(self, folder: Path) -> npt.NDArray[np.float32]:
        """The first latents [1, C, T, F]."""
        manifest = Pipeline(folder, "cpu").manifest
        frames = manifest.latent_frames(self.audio_length_in_s)
        shape = 1, manifest.latent.channels, frames, manifest.latent.mel_bins
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def ours(self, folder: Path) -> Sound:
        """The sound [samples] of the model folder."""
        pipeline = Pipeline(folder, "cpu")
        request = TextToAudio(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            audio_length_in_s=self.audio_length_in_s,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            sampler="ddim",
            eta=0.0,
            seed=0,
            delivery=Delivery(sample_rate=pipeline.manifest.sample_rate),
        )
        planned = plan(resolve(validate(request), pipeline.manifest), pipeline.context({}))
        latents = self.latents(folder)
        planned = replace(planned, noise=lambda seed, stream: latents)
        (latent,) = pipeline.denoise(planned, [0], lambda done, total: None)
        return np.asarray(planned.finish(latent).sound.samples[:, 0])

    def theirs(self, pipeline: Any, folder: Path) -> Sound:
        """The sound [samples] of diffusers' pipeline."""
        pipeline.set_progress_bar_config(disable=True)
        sounds = pipeline(
            self.prompt,
            negative_prompt=self.negative_prompt or None,
            audio_length_in_s=self.audio_length_in_s,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            latents=torch.from_numpy(self.latents(folder)),
            eta=0.0,
        ).audios
        return np.asarray(sounds[0])


def relative_error(ours: Sound, theirs: Sound) -> float:
    """``|ours - theirs| / |theirs|`` in the L2 norm."""
    assert ours.shape == theirs.shape
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
