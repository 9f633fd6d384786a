"""How fast a stage trains here: throughput by batch size, measured for some seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from training.loop import TrainingStage

__all__ = ["Pace", "fastest", "throughput"]

log = logging.getLogger("audioldm.train")

GAIN: Final = 1.05
"""A larger batch must be this much faster: smaller ones learn more from a sample."""
WARM_UP: Final = 2
"""Steps before the clock starts."""
KEPT: Final = 0.9
"""Share of the measured pace that is counted on: evaluations and checkpoints take time too."""


@dataclass(frozen=True)
class Pace:
    """The batch that trains fastest."""

    batch: int
    samples_a_second: float

    def steps(self, seconds: float) -> int:
        """Batches that fit into ``seconds``, at least two."""
        return max(2, int(KEPT * seconds * self.samples_a_second / self.batch))


def fastest(stage: TrainingStage, batches: Sequence[int], seconds: float) -> Pace:
    """The pace of the best of ``batches``, tried in order while they gain.

    Args:
        stage: trains a little; it is not the one to train on with.
        batches: sizes, smallest first; one that does not fit into the memory ends the search.
        seconds: time for all of them together.
    """
    best: Pace | None = None
    for batch in batches:
        stage.batch = batch
        try:
            pace = Pace(batch, batch * throughput(stage, seconds / len(batches)))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        log.info("batch %d: %.1f samples/s", batch, pace.samples_a_second)
        if best is not None and pace.samples_a_second < GAIN * best.samples_a_second:
            break
        best = pace
    if best is None:
        raise torch.OutOfMemoryError(f"not even a batch of {batches[0]} fits into the memory")
    return best


def throughput(stage: TrainingStage, seconds: float) -> float:
    """Batches a second of ``stage``, over ``seconds`` and at least one batch."""
    generator = torch.Generator(device=stage.device).manual_seed(0)
    stage.networks.train()
    for step in range(WARM_UP):
        stage.train_step(generator, step)
    started, steps = _now(stage.device), 0
    while True:
        stage.train_step(generator, WARM_UP + steps)
        steps += 1
        elapsed = _now(stage.device) - started
        if elapsed >= seconds:
            return steps / elapsed


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()
