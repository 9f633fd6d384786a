"""The training loop of all stages: schedule, EMA, checkpoints, held-out curves, progress.

Every random draw of step ``k`` comes from a generator seeded with ``(seed, k)``. The data
position is therefore the step number itself, and a run that was killed goes on exactly as if it
had not been: weights, optimizer moments, EMA and step are all there is to save.
"""

from __future__ import annotations

import copy
import csv
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

__all__ = ["Fit", "TrainingStage", "autocast", "fit", "load_ema", "optimize"]

logger = logging.getLogger(__name__)

_FIRST_WORD: Final = 10
"""Steps after which the pace is told for the first time."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Length and learning rate of a stage."""

    steps: int
    warmup: int = 200
    decay: float = 0.3
    """The last part of the steps, over which the learning rate falls linearly to 2 %."""
    ema: float = 0.999
    evaluate_every: int = 500
    checkpoint_every: int = 500
    seed: int = 0


class TrainingStage(ABC):
    """Networks, optimisers and losses of one stage.

    ``model`` is what is averaged, evaluated and exported; ``networks`` is everything that has
    to survive a kill (``model`` included, discriminators too).
    """

    model: nn.Module
    networks: nn.ModuleDict
    optimizers: dict[str, torch.optim.Optimizer]
    device: torch.device
    batch: int
    """Examples of a step."""

    @abstractmethod
    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        """One update of all networks; returns the losses by name."""

    @abstractmethod
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Held-out measures of ``model``, which is in eval mode without gradients."""


@dataclass
class _Progress:
    step: int = 0
    seconds: float = 0.0
    measures: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: Mapping[str, float]) -> None:
        self.count += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        means = {name: value / max(1, self.count) for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def autocast(device: torch.device) -> torch.autocast:
    """bf16 where it is faster: on CUDA, and on CPUs that multiply in it (AVX512-BF16, AMX)."""
    fast = device.type == "cuda" or _multiplies_bf16()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def _multiplies_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def optimize(
    optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter]
) -> None:
    """Backward, clip to norm 1 and step."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def fit(stage: TrainingStage, settings: Fit, folder: Path) -> dict[str, float]:
    """Train ``stage`` to ``settings.steps``, going on from ``folder/last.pt`` where it exists.

    Leaves ``last.pt`` (everything, to resume) and ``curve.csv`` in ``folder``.
    Returns the last held-out measures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    average = copy.deepcopy(stage.model).eval().requires_grad_(False)
    progress = _Progress()
    _resume(stage, average, progress, folder)
    generator = torch.Generator(device=stage.device)
    began, first = time.monotonic() - progress.seconds, progress.step
    earlier = progress.seconds
    rates = {name: optimizer.defaults["lr"] for name, optimizer in stage.optimizers.items()}
    while progress.step < settings.steps:
        step = progress.step
        generator.manual_seed(settings.seed * 1_000_003 + step)
        for name, optimizer in stage.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * _learning_rate(settings, step)
        stage.networks.train()
        progress.add(stage.train_step(generator, step))
        _update(average, stage.model, min(settings.ema, (1 + step) / (10 + step)))
        progress.step = step + 1
        progress.seconds = time.monotonic() - began
        if progress.step - first == _FIRST_WORD:
            pace = (progress.seconds - earlier) / _FIRST_WORD
            logger.info("%s", _line(stage, settings, progress, pace))
        last = progress.step == settings.steps
        if last or progress.step % settings.evaluate_every == 0:
            with torch.no_grad():
                progress.measures = stage.evaluate(average)
            _record(folder, progress)
            pace = (progress.seconds - earlier) / (progress.step - first)
            logger.info("%s", _line(stage, settings, progress, pace))
        if last or progress.step % settings.checkpoint_every == 0:
            _save(stage, average, progress, folder)
    return progress.measures


def load_ema(model: nn.Module, folder: Path, *, strict: bool = True) -> nn.Module:
    """``model`` with the averaged weights of ``folder/last.pt``, in eval mode.

    Where not ``strict``, parts of ``model`` that were trained elsewhere stay as they are.
    """
    state = torch.load(folder / "last.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state["average"], strict=strict)
    return model.eval().requires_grad_(False)


def _learning_rate(settings: Fit, step: int) -> float:
    rising = min(1.0, (step + 1) / max(1, settings.warmup))
    falling = (settings.steps - step) / max(1.0, settings.decay * settings.steps)
    return rising * max(0.02, min(1.0, falling))


@torch.no_grad()
def _update(average: nn.Module, model: nn.Module, decay: float) -> None:
    averaged = list(average.parameters())
    torch._foreach_lerp_(averaged, list(model.parameters()), 1.0 - decay)
    for old, new in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(new)


def _save(stage: TrainingStage, average: nn.Module, progress: _Progress, folder: Path) -> None:
    state: dict[str, Any] = {
        "step": progress.step,
        "seconds": progress.seconds,
        "measures": progress.measures,
        "networks": stage.networks.state_dict(),
        "average": average.state_dict(),
        "optimizers": {name: item.state_dict() for name, item in stage.optimizers.items()},
        "sums": progress.sums,
        "count": progress.count,
    }
    partial = folder / "last.pt.partial"
    torch.save(state, partial)
    partial.replace(folder / "last.pt")


def _resume(stage: TrainingStage, average: nn.Module, progress: _Progress, folder: Path) -> None:
    path = folder / "last.pt"
    if not path.is_file():
        (folder / "curve.csv").unlink(missing_ok=True)
        return
    state = torch.load(path, map_location=stage.device, weights_only=True)
    stage.networks.load_state_dict(state["networks"])
    average.load_state_dict(state["average"])
    rates = {name: item.defaults["lr"] for name, item in stage.optimizers.items()}
    for name, optimizer in stage.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
        optimizer.defaults["lr"] = rates[name]
    progress.step, progress.seconds = state["step"], state["seconds"]
    progress.sums, progress.count = state["sums"], state["count"]
    progress.measures = dict(state["measures"])
    _truncate(folder / "curve.csv", progress.step)
    logger.info("going on from step %d", progress.step)


def _record(folder: Path, progress: _Progress) -> None:
    path = folder / "curve.csv"
    row: dict[str, float] = {"step": progress.step, "seconds": round(progress.seconds, 1)}
    row |= {f"train_{name}": value for name, value in progress.means().items()}
    row |= {f"held_out_{name}": value for name, value in progress.measures.items()}
    fresh = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})


def _truncate(path: Path, step: int) -> None:
    """Drop the rows that a killed run wrote after its last checkpoint."""
    if path.is_file():
        lines = path.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines[1:] if int(float(line.split(",")[0])) <= step]
        path.write_text("".join(lines[:1] + kept), "utf-8")


def _line(stage: TrainingStage, settings: Fit, progress: _Progress, pace: float) -> str:
    figures = "  ".join(f"{name} {value:.4g}" for name, value in progress.measures.items())
    minutes = pace * (settings.steps - progress.step) / 60.0
    name = type(stage).__name__
    return f"{name} {progress.step}/{settings.steps}  {figures}  {minutes:.0f} min to go"
