"""Trains the judge on labelled real clips.

    python -m training.evaluation.judge_training --sounds FOLDER --out FILE --minutes 10

Everything that must not decide a verdict is varied: place in the window, tempo, pitch,
equalisation, bandwidth, noise floor, the smear of a codec or vocoder, gaps (SpecAugment,
arXiv:1904.08779) and other sounds underneath (mixup, arXiv:1710.09412). One seed makes one
judge on one machine where ``--steps`` is given; ``--minutes`` counts processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from server.audio.waveform import Waveform
from server.errors import InvalidRequest
from training.evaluation.judge import (
    FRAMES,
    NUM_MELS,
    RANGE,
    SAMPLE_RATE,
    Judge,
    JudgeNet,
    normalise,
    pad_frames,
    spectrogram,
)
from training.evaluation.sound_classes import SPLITS, LabelledClip, Split, label_clips

__all__ = ["Examples", "accuracy", "load_examples", "main", "train_judge"]

BATCH: Final = 48
LEARNING_RATE: Final = 3e-3
LABEL_SMOOTHING: Final = 0.05


@dataclass(frozen=True)
class Examples:
    """Spectrograms with labels: ``frames[i]`` [T, 80] float16 is class ``labels[i]``."""

    classes: tuple[str, ...]
    frames: list[Tensor]
    labels: list[int]
    groups: list[str]
    splits: list[Split]

    def of(self, split: Split) -> list[int]:
        """Indices of one split."""
        return [index for index, name in enumerate(self.splits) if name == split]


def load_examples(clips: Sequence[LabelledClip]) -> Examples:
    """Decode ``clips`` and take their spectrograms."""
    classes = tuple(sorted({clip.label for clip in clips}))
    frames = []
    for clip in clips:
        waveform = Waveform.read(clip.path).resample(SAMPLE_RATE)
        frames.append(spectrogram(waveform.downmix()).half())
    labels = [classes.index(clip.label) for clip in clips]
    groups, splits = [clip.group for clip in clips], [clip.split for clip in clips]
    return Examples(classes, frames, labels, groups, splits)


def train_judge(
    examples: Examples,
    *,
    steps: int | None = None,
    minutes: float = 10.0,
    seed: int = 0,
    batch_size: int = BATCH,
    start: Judge | None = None,
) -> Judge:
    """A judge of ``examples``, trained for ``steps`` batches or ``minutes`` of processor time.

    It goes on from ``start``, a judge of the same classes, where there is one.

    Raises:
        InvalidRequest: ``start`` knows other classes.
    """
    if start is not None and start.classes != examples.classes:
        raise InvalidRequest("the judge to start from knows other classes; start afresh")
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    net = JudgeNet(len(examples.classes)) if start is None else start.net
    net = net.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=0.03)
    batches = _Sampler(examples, random)
    started, step, progress = time.process_time(), 0, 0.0
    while progress < 1.0:
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * _schedule(progress)
        windows, targets = augment(*batches.draw(batch_size), random)
        logits, _ = net.train()(windows)
        loss = functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        step += 1
        seconds = time.process_time() - started
        progress = step / steps if steps is not None else seconds / (60 * minutes)
        if step % 300 == 0:
            judge = Judge(net, examples.classes)
            top1, _ = accuracy(judge, examples, "validation")
            print(f"step {step} {seconds:.0f} s loss {loss.item():.3f} validation {top1:.3f}")
            sys.stdout.flush()
    return Judge(net, examples.classes)


def _schedule(progress: float) -> float:
    warm_up = min(1.0, 0.05 + progress / 0.05)
    return warm_up * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


class _Sampler:
    """Draws a class, then a recording, then a cut of it, so that big families do not rule."""

    def __init__(self, examples: Examples, random: np.random.Generator) -> None:
        self.examples, self.random = examples, random
        self.tree: dict[int, dict[str, list[int]]] = {}
        for index in examples.of("train"):
            groups = self.tree.setdefault(examples.labels[index], {})
            groups.setdefault(examples.groups[index], []).append(index)
        self.labels = sorted(self.tree)
        weights = np.array([len(self.tree[label]) ** 0.4 for label in self.labels])
        self.weights = weights / weights.sum()

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Windows [count, FRAMES, 80] in natural-log units and one-hot targets."""
        labels = self.random.choice(self.labels, size=count, p=self.weights)
        windows = torch.stack([self._window(int(label)) for label in labels])
        targets = functional.one_hot(torch.from_numpy(labels), len(self.examples.classes))
        return windows, targets.float()

    def _window(self, label: int) -> Tensor:
        groups = self.tree[label]
        cuts = groups[list(groups)[self.random.integers(len(groups))]]
        frames = self.examples.frames[cuts[self.random.integers(len(cuts))]].float()
        frames = self._stretch(frames)
        if len(frames) <= FRAMES:
            room = FRAMES - len(frames)
            # Takes begin with their sound; only sometimes does it come late.
            offset = self.random.integers(room + 1) if self.random.random() < 0.4 else 0
            return pad_frames(frames, int(min(offset, room)))
        loudest = float(frames.max())
        for _ in range(8):
            start = int(self.random.integers(len(frames) - FRAMES + 1))
            window = frames[start : start + FRAMES]
            if float(window.max()) > loudest - 3.0:
                return window
        return frames[:FRAMES]

    def _stretch(self, frames: Tensor) -> Tensor:
        if self.random.random() < 0.6:
            return frames
        length = max(2, int(len(frames) * self.random.uniform(0.85, 1.18)))
        return functional.interpolate(frames.T[None], length, mode="linear")[0].T


def augment(windows: Tensor, targets: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Vary ``windows`` [B, FRAMES, 80] and mix neighbours; returns normalised windows, targets."""
    windows = windows - windows.amax(dim=(1, 2), keepdim=True)
    windows = torch.stack([_vary(window, random) for window in windows])
    if random.random() < 0.5:
        windows, targets = _mix(windows, targets, random)
    windows = normalise(windows)
    for window in windows:
        _mask(window, random)
    return windows, targets


def _vary(window: Tensor, random: np.random.Generator) -> Tensor:
    """Equalise, transpose, band-limit, smear and add a noise floor to one window."""
    bins = torch.arange(NUM_MELS)
    if random.random() < 0.5:
        window = window[:, (bins + int(random.integers(-3, 4))).clamp(0, NUM_MELS - 1)]
    phase = bins[None] * torch.arange(1, 5)[:, None] * (math.pi / NUM_MELS)
    weights = torch.from_numpy(random.normal(0.0, 0.35, 4)).float()
    window = window + (weights[:, None] * torch.cos(phase)).sum(dim=0)
    if random.random() < 0.2:
        window = window - 0.4 * (bins - random.integers(48, NUM_MELS)).clamp(min=0)
    if random.random() < 0.2:
        window = functional.avg_pool2d(window[None], 3, 1, 1, count_include_pad=False)[0]
    if random.random() < 0.4:
        window = window + random.uniform(0.0, 0.4) * torch.randn(window.shape)
    if random.random() < 0.5:
        floor = random.uniform(-RANGE, -5.0) + random.uniform(-2.0, 2.0) * (bins / NUM_MELS - 0.5)
        window = torch.logaddexp(window, floor + 0.5 * torch.randn(window.shape))
    return window


def _mix(windows: Tensor, targets: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Lay the batch, turned round, underneath itself."""
    share = torch.from_numpy(random.beta(0.4, 0.4, len(windows))).float().clamp(0.02, 0.98)
    first, second = share[:, None, None].log(), (1 - share)[:, None, None].log()
    mixed = torch.logaddexp(windows + first, windows.flip(0) + second)
    return mixed, share[:, None] * targets + (1 - share[:, None]) * targets.flip(0)


def _mask(window: Tensor, random: np.random.Generator) -> None:
    """SpecAugment: a gap in time and one in frequency, in place."""
    for axis, longest in ((0, 40), (1, 12)):
        if random.random() < 0.5:
            length = int(random.integers(1, longest))
            start = int(random.integers(window.shape[axis] - length))
            window.narrow(axis, start, length).fill_(-1.0)


def accuracy(judge: Judge, examples: Examples, split: Split) -> tuple[float, np.ndarray]:
    """Share of clips recognised, averaged over classes, and the confusion [true, predicted]."""
    size = len(examples.classes)
    confusion = np.zeros((size, size), dtype=np.int64)
    for index in examples.of(split):
        verdict = judge.classify_frames(examples.frames[index].float())
        confusion[examples.labels[index], verdict.top(1)[0]] += 1
    counts = confusion.sum(axis=1)
    present = counts > 0
    return float(np.mean(np.diag(confusion)[present] / counts[present])), confusion


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation.judge_training", description=__doc__
    )
    parser.add_argument("--sounds", type=Path, required=True, help="folder with manifest.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--minutes", type=float, default=10.0, help="of processor time")
    parser.add_argument("--steps", type=int, help="instead of --minutes")
    parser.add_argument("--start", type=Path, help="a judge to go on from")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    examples = load_examples(label_clips(arguments.sounds))
    counts = {split: len(examples.of(split)) for split in SPLITS}
    print(f"{len(examples.classes)} classes, {counts}", flush=True)
    judge = train_judge(
        examples,
        steps=arguments.steps,
        minutes=arguments.minutes,
        seed=arguments.seed,
        start=Judge.load(arguments.start) if arguments.start else None,
    )
    top1, confusion = accuracy(judge, examples, "held_out")
    print(f"held out: {top1:.3f} mean over classes, {np.trace(confusion) / confusion.sum():.3f}")
    judge.save(arguments.out, held_out_accuracy=f"{top1:.4f}")
    table = {"classes": examples.classes, "accuracy": top1, "confusion": confusion.tolist()}
    arguments.out.with_suffix(".json").write_text(json.dumps(table) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
