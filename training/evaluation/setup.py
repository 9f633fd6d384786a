"""The setup of an evaluation: a model that renders, a judge that classifies, real clips."""

from __future__ import annotations

import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Waveform
from server.model.manifest import Manifest
from server.render.pipeline import Pipeline
from server.requests.request import Delivery, TextToAudio, Transfer
from training.evaluation.judge import SAMPLE_RATE, Judge, Verdict
from training.evaluation.sound_classes import LabelledClip, Split

__all__ = ["RealClips", "RenderSettings", "EvaluationSetup", "JudgedTake", "mean", "read_samples"]

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RenderSettings:
    """How takes are rendered; None is the model's own default."""

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    sampler: Any = None
    audio_length_in_s: float | None = None
    seed: int = 0
    num_candidates: int | None = None


@dataclass(frozen=True)
class JudgedTake:
    """A rendered prompt with the verdict of the judge."""

    prompt: str
    label: str
    samples: Samples
    verdict: Verdict


def read_samples(path: Path, seconds: float | None = None) -> Samples:
    """Mono samples of ``path`` at 16 kHz, at most ``seconds``."""
    waveform = Waveform.read(path).resample(SAMPLE_RATE)
    samples = waveform.downmix()
    return samples if seconds is None else samples[: round(seconds * SAMPLE_RATE)]


def mean(values: Iterable[float]) -> float:
    """Their mean; NaN for none."""
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else math.nan


@dataclass
class RealClips:
    """Labelled real clips; each is classified once, at its first use."""

    judge: Judge
    clips: Sequence[LabelledClip]
    per_class: int = 12
    _verdicts: dict[Path, Verdict] = field(default_factory=dict)

    def of(self, split: Split, label: str, limit: int | None = None) -> list[LabelledClip]:
        """Clips of a class, each group's first before any group's second."""
        groups: dict[str, list[LabelledClip]] = defaultdict(list)
        for clip in self.clips:
            if clip.split == split and clip.label == label:
                groups[clip.group].append(clip)
        longest = max((len(cuts) for cuts in groups.values()), default=0)
        turns = [
            cuts[turn] for turn in range(longest) for cuts in groups.values() if turn < len(cuts)
        ]
        return turns[: self.per_class if limit is None else limit]

    def verdicts(self, split: Split, label: str, limit: int | None = None) -> list[Verdict]:
        """The judge's verdicts on them."""
        return [self.verdict(clip) for clip in self.of(split, label, limit)]

    def verdict(self, clip: LabelledClip) -> Verdict:
        """The judge's verdict on one."""
        if clip.path not in self._verdicts:
            self._verdicts[clip.path] = self.judge.classify(read_samples(clip.path))
        return self._verdicts[clip.path]


class EvaluationSetup:
    """Renders prompts and classifies them."""

    def __init__(
        self,
        pipeline: Pipeline,
        judge: Judge,
        real: RealClips,
        settings: RenderSettings,
        labels: Iterable[str],
        *,
        keep: Callable[[str, Samples], None] = lambda name, samples: None,
    ) -> None:
        self.pipeline, self.judge, self.real, self.settings = pipeline, judge, real, settings
        self.labels = [label for label in judge.classes if label in set(labels)]
        self._keep = keep
        self._count = 0

    @property
    def manifest(self) -> Manifest:
        """The model's."""
        return self.pipeline.manifest

    def of_first_takes(self) -> EvaluationSetup:
        """The same setup for takes that are not chosen from several, as a seed gives them."""
        settings = replace(self.settings, num_candidates=1)
        return EvaluationSetup(
            self.pipeline, self.judge, self.real, settings, self.labels, keep=self._keep
        )

    def render(
        self,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        seconds: float | None = None,
        candidates: int | None = None,
    ) -> Samples:
        """One take of ``prompt`` at 16 kHz, the best of ``candidates`` (None: the settings')."""
        settings, defaults = self.settings, self.manifest.defaults
        candidates = candidates or settings.num_candidates or defaults.num_candidates
        request = TextToAudio(
            prompt=prompt,
            num_candidates=candidates,
            num_inference_steps=steps or settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            sampler=settings.sampler,
            audio_length_in_s=seconds or settings.audio_length_in_s,
            # No render is a candidate twice.
            seed=settings.seed + seed * candidates,
            delivery=Delivery(sample_rate=SAMPLE_RATE),
        )
        samples = self.pipeline.render(request)[0].waveform.downmix()
        self._count += 1
        if self._count % 25 == 0:
            print(f"{self._count} takes", file=sys.stderr, flush=True)
        self._keep(f"{prompt} {steps or ''} {seed} best of {candidates}", samples)
        return samples

    def take(
        self,
        label: str,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        candidates: int | None = None,
    ) -> JudgedTake:
        """One judged take of ``prompt``, which asks for class ``label``."""
        samples = self.render(prompt, seed=seed, steps=steps, candidates=candidates)
        return JudgedTake(prompt, label, samples, self.judge.classify(samples))

    def decode(self, samples: Samples) -> tuple[Samples, npt.NDArray[np.float32]]:
        """``samples`` through VAE and vocoder, with the log-mel [M, mels] between."""
        manifest = self.manifest
        grid = manifest.samples_per_latent_frame * manifest.latent.time_multiple
        padded = np.pad(samples, (0, -len(samples) % grid)).astype(np.float32)[None]
        latent = self.pipeline.graphs["vae_encoder"](waveform=padded)[0]
        log_mel = self.pipeline.graphs["vae_decoder"](latent=latent)[0]
        return self.vocode(log_mel[0])[: len(samples)], log_mel[0]

    def vocode(self, log_mel: npt.NDArray[np.float32]) -> Samples:
        """The waveform of a log-mel [M, mels]."""
        wave = self.pipeline.graphs["vocoder"](log_mel=log_mel[None].astype(np.float32))[0][0]
        return np.asarray(wave[: len(log_mel) * self.manifest.hop_length], dtype=np.float32)

    def transfer(self, samples: Samples, strength: float = 0.02) -> Samples:
        """``samples`` by way of the whole product, as good as untouched by the denoiser."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.wav"
            path.write_bytes(Waveform.mono(samples, SAMPLE_RATE).encode("wav32f"))
            request = Transfer(clip=str(path), prompt="a sound", strength=strength, seed=0)
            return self.pipeline.render(request)[0].waveform.downmix()

    def clap_embedding(self, samples: Samples) -> npt.NDArray[np.float32]:
        """The model's own CLAP embedding [D] of ``samples``."""
        encoder = self.manifest.audio_encoder
        waveform = Waveform.mono(samples, SAMPLE_RATE).resample(encoder.sample_rate).downmix()
        if encoder.num_samples is not None:
            waveform = np.resize(waveform, encoder.num_samples)
        embedding = self.pipeline.graphs["audio_encoder"](waveform=waveform[None])[0][0]
        return np.asarray(embedding)
