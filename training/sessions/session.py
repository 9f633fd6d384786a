"""Denoiser, critic and listener in a given number of minutes.

The earlier stages are those of a finished model. Each stage probes its throughput, takes the
fastest batch, and as many steps as fit into its share of the time. The denoiser becomes wider
where enough samples can be seen; else it goes on from the model's own weights.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import torch
from torch import Tensor

from training.loop import TrainingStage, fit
from training.sessions.base import SETTINGS, start_run, write_settings
from training.sessions.probe import Pace, fastest
from training.sessions.shards import SHARD_BYTES, write_shards
from training.settings import Settings
from training.sounds.folder import prepare
from training.stages import Run

__all__ = ["Session", "SessionPlan"]

log = logging.getLogger("audioldm.train")

SHARES: Final = {"ldm": 0.62, "adversarial": 0.75, "listener": 0.9}
"""Share of the time left that a stage takes, its probe included."""
PROBE_SHARES: Final = {"ldm": 0.7, "adversarial": 0.2, "listener": 0.1}
EVALUATIONS: Final = 4


@dataclass(frozen=True, kw_only=True)
class SessionPlan:
    """What training may use."""

    minutes: float
    probe_s: float = 20.0
    batches: Sequence[int] = (64, 128, 256, 512, 1024)
    wider: int = 384
    """Width that the denoiser gets if it can then see ``enough`` samples."""
    enough: float = 1.5e6
    """Three times what the built-in denoiser has seen."""
    shard_bytes: int = SHARD_BYTES


@dataclass
class Session:
    """Training in the run folder ``folder``, whose checkpoints go to ``out`` in pieces."""

    plan: SessionPlan
    model: Path
    folder: Path
    out: Path
    device: torch.device
    _ends: float = field(init=False)
    _weights: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._ends = time.monotonic() + 60.0 * self.plan.minutes

    def train(self, sounds: Path) -> dict[str, dict[str, float]]:
        """Train all stages on ``sounds``; returns their held-out measures.

        Each stage's pieces are written when it ends, so that training that is cut off
        loses one stage at most.
        """
        settings, self._weights = start_run(self.model, self.folder)
        prepare(sounds, self.folder / "cache", variants=settings.pitch_variants)
        self._run(settings).embed_captions()
        measures = {}
        for stage in SHARES:
            settings, measures[stage] = self._stage(stage, settings)
        return measures

    def _run(self, settings: Settings) -> Run:
        return Run(settings, self.folder, self.device)

    def _stage(self, stage: str, settings: Settings) -> tuple[Settings, dict[str, float]]:
        seconds = SHARES[stage] * max(0.0, self._ends - time.monotonic())
        probe_s = min(PROBE_SHARES[stage] * self.plan.probe_s, seconds / 4)
        settings = self._chosen(stage, settings, seconds - probe_s, probe_s)
        write_settings(settings, self.folder)
        section = getattr(settings, stage)
        log.info("%s: %d batches of %d", stage, section.schedule.steps, section.batch)
        built = self._built(stage, settings)
        measures = fit(built, section.schedule.fit(settings.seed), self.folder / stage)
        self._keep(stage)
        return settings, measures

    def _chosen(self, stage: str, settings: Settings, seconds: float, probe_s: float) -> Settings:
        """``settings`` with the width, batch and number of steps that fit into ``seconds``.

        The probe takes ``probe_s`` before them.
        """
        if stage != "ldm" or self.plan.wider == settings.ldm.width:
            pace = self._pace(stage, settings, probe_s)
            return _paced(stage, settings, pace, seconds)
        wide = _changed(settings, "ldm", width=self.plan.wider)
        paces = [(item, self._pace(stage, item, probe_s / 2)) for item in (wide, settings)]
        seen = paces[0][1].samples_a_second * seconds
        settings, pace = paces[0 if seen >= self.plan.enough else 1]
        return _paced(stage, settings, pace, seconds)

    def _pace(self, stage: str, settings: Settings, seconds: float) -> Pace:
        return fastest(self._run(settings).build(stage), self.plan.batches, seconds)

    def _built(self, stage: str, settings: Settings) -> TrainingStage:
        """``stage`` for training; a denoiser of the model's width starts from its weights."""
        built = self._run(settings).build(stage)
        shapes = {name: value.shape for name, value in built.model.state_dict().items()}
        if stage == "ldm" and shapes == {k: v.shape for k, v in self._weights.items()}:
            built.model.load_state_dict(self._weights)
        return built

    def _keep(self, stage: str) -> None:
        """Write the averaged weights and the curve of ``stage`` in pieces."""
        folder = self.folder / stage
        state = torch.load(folder / "last.pt", map_location="cpu", weights_only=True)
        average = {name: _half(value) for name, value in state["average"].items()}
        slim = folder / "average.pt"
        torch.save({"average": average, "step": state["step"]}, slim)
        files = {f"{stage}/last.pt": slim, SETTINGS: self.folder / SETTINGS}
        curve = folder / "curve.csv"
        files |= {f"{stage}/curve.csv": curve} if curve.is_file() else {}
        write_shards(files, self.out / stage, self.plan.shard_bytes)


def _half(value: Tensor) -> Tensor:
    """Weights as float16, which is finer than the int8 of the model folder."""
    return value.half() if value.is_floating_point() else value


def _paced(stage: str, settings: Settings, pace: Pace, seconds: float) -> Settings:
    steps = pace.steps(seconds)
    schedule = msgspec.structs.replace(
        getattr(settings, stage).schedule,
        steps=steps,
        warmup=1 + min(500, steps // 20),
        evaluate_every=1 + steps // EVALUATIONS,
        checkpoint_every=1 + steps // EVALUATIONS,
    )
    return _changed(settings, stage, batch=pace.batch, schedule=schedule)


def _changed(settings: Settings, stage: str, **values: Any) -> Settings:
    section = msgspec.structs.replace(getattr(settings, stage), **values)
    return msgspec.structs.replace(settings, **{stage: section})
