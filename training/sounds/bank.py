"""The training sounds as two long tensors on the training device, cropped by gather.

No loader processes: a batch is a draw of clip numbers, a draw of starts and one index operation,
on the CPU (memory-mapped) as on a GPU (resident).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.networks.mel import HOP_LENGTH, LOG_FLOOR, NUM_MELS, SAMPLE_RATE
from training.sounds.folder import CaptionedClip, load_clips

__all__ = ["SoundBank", "augment_gain", "mix"]

CROP_FRAMES = 256
COMMON_SHARE = 0.02


class SoundBank:
    """The cache of :func:`training.sounds.folder.prepare`, ready to be drawn from."""

    def __init__(self, cache: Path, device: torch.device) -> None:
        self.device = device
        self.clips = load_clips(cache)
        mels = np.memmap(cache / "mels.f16", np.float16, "c").reshape(-1, NUM_MELS)
        self.mels = torch.from_numpy(mels).to(device)
        self.waves = torch.from_numpy(np.memmap(cache / "waves.i16", np.int16, "c")).to(device)
        frames = torch.tensor([clip.frames for clip in self.clips])
        self.frames = frames.to(device)
        self.offsets = (frames.cumsum(0) - frames).to(device)
        self.looping = torch.tensor([clip.looping for clip in self.clips], device=device)
        test = torch.tensor([clip.held_out for clip in self.clips])
        first = torch.tensor([clip.variant == 0 for clip in self.clips])
        if bool(test.all()):  # a handful of sounds, and none was left to learn from
            test = torch.zeros_like(test)
        weights = torch.tensor(_weights(self.clips))
        self.weights = torch.where(test, 0.0, weights).to(device)
        measured = test & first if bool(test.any()) else first
        self.held_out = measured.nonzero()[:, 0].to(device)
        self.captions = list(dict.fromkeys(text for clip in self.clips for text in clip.captions))
        number = {text: position for position, text in enumerate(self.captions)}
        widest = max(len(clip.captions) for clip in self.clips)
        table = [
            [number[clip.captions[column % len(clip.captions)]] for column in range(widest)]
            for clip in self.clips
        ]
        self.caption_table = torch.tensor(table, device=device)
        notes = [-1 if clip.midi is None else clip.midi for clip in self.clips]
        self.midi = torch.tensor(notes, device=device)
        tempi = [clip.bpm or 0.0 for clip in self.clips]
        self.bpm = torch.tensor(tempi, device=device)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """``count`` numbers of training clips, by weight."""
        return torch.multinomial(self.weights, count, replacement=True, generator=generator)

    def draw_captions(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """One caption number for each clip of ``rows``."""
        width = self.caption_table.shape[1]
        column = torch.randint(width, rows.shape, generator=generator, device=self.device)
        return self.caption_table[rows, column]

    def draw_starts(self, rows: Tensor, frames: int, generator: torch.Generator) -> Tensor:
        """A start for each crop: the beginning in two of five cases and for short clips."""
        spare = self.frames[rows] - frames
        spare = torch.where(self.looping[rows], self.frames[rows], spare.clamp(min=0))
        position = torch.rand(rows.shape, generator=generator, device=self.device)
        beginning = torch.rand(rows.shape, generator=generator, device=self.device) < 0.4
        return torch.where(beginning, 0, (position * (spare + 1)).long())

    def notations(self, rows: Tensor, starts: Tensor) -> Tensor:
        """Note, tempo and beats before the crop, ``[B, 3]``; zeros where they are not known."""
        bpm = self.bpm[rows]
        beats = starts * (HOP_LENGTH / SAMPLE_RATE / 60.0) * bpm
        return torch.stack((self.midi[rows].clamp(min=0).float(), bpm, beats), dim=-1)

    def crop_mels(self, rows: Tensor, starts: Tensor, frames: int) -> Tensor:
        """Log-mel ``[B, frames, 64]``; silence, or the clip again, after its end."""
        positions, valid = self._positions(rows, starts, frames)
        mels = self.mels[self.offsets[rows, None] + positions].float()
        return torch.where(valid[..., None], mels, LOG_FLOOR)

    def crop_waves(self, rows: Tensor, starts: Tensor, frames: int) -> Tensor:
        """Waveform ``[B, 160 frames]`` in [-1, 1], of the same crop as the mels."""
        positions, valid = self._positions(rows, starts, frames)
        first = (self.offsets[rows, None] + positions) * HOP_LENGTH
        steps = torch.arange(HOP_LENGTH, device=self.device)
        samples = self.waves[first[..., None] + steps].float() / 32767.0
        return torch.where(valid[..., None], samples, 0.0).flatten(1)

    def _positions(self, rows: Tensor, starts: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        positions = starts[:, None] + torch.arange(frames, device=self.device)
        length = self.frames[rows, None]
        valid = (positions < length) | self.looping[rows, None]
        return torch.where(valid, positions % length, 0), valid


def augment_gain(mels: Tensor, generator: torch.Generator, *, decibels: float = 9.0) -> Tensor:
    """Log-mels turned down by up to ``decibels``, each clip by its own amount."""
    shape = (mels.shape[0], 1, 1)
    amount = torch.rand(shape, generator=generator, device=mels.device)
    return torch.clamp(mels - amount * (decibels * np.log(10.0) / 20.0), min=LOG_FLOOR)


def mix(mels: Tensor, others: Tensor) -> Tensor:
    """Log-mels of two sounds at once, taking their phases as independent (powers add)."""
    return 0.5 * torch.logaddexp(2.0 * mels, 2.0 * others)


def _weights(clips: Sequence[CaptionedClip]) -> list[float]:
    """Balance kinds, and recordings within them."""
    kind = _kinds(clips)
    first = [clip for clip in clips if clip.variant == 0]
    kinds = Counter(map(kind, first))
    groups = Counter(clip.group for clip in first)
    return [
        kinds[kind(clip)] ** -0.5
        * groups[clip.group] ** -0.25
        * max(1.0, clip.frames / CROP_FRAMES) ** 0.5
        / clip.num_variants
        for clip in clips
    ]


def _kinds(clips: Sequence[CaptionedClip]) -> Callable[[CaptionedClip], tuple[str, ...]]:
    """The kind of a clip: its category and its first two informative tags.

    A tag of more than one clip in fifty ("one-shot", "single note") is not informative: with it,
    all notes of all instruments would be one kind.
    """
    tags = Counter(tag for clip in clips for tag in set(clip.tags))
    most = max(1.0, COMMON_SHARE * len(clips))

    def kind(clip: CaptionedClip) -> tuple[str, ...]:
        return (clip.category, *[tag for tag in clip.tags if tags[tag] <= most][:2])

    return kind
