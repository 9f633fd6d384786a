"""The judge: a small sound classifier of our own that never saw the generator.

It learns from real clips alone (:mod:`training.evaluation.judge_training`), knows neither the CLAP
nor the latents of the model that it judges, and has its own spectrogram. It names the class of a
clip, and its embedding serves the Fréchet distance and the variety measure.

    python -m training.evaluation.judge_training --sounds FOLDER --out judge.safetensors
    audioldm-train evaluate models/tiny --sounds FOLDER --quick

    judge = Judge.load()                      # the judge that ships with the project
    verdict = judge.classify(samples)         # float32 [frames] at 16 kHz, any length
    verdict.probabilities[judge.classes.index("kick")]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from server.errors import ModelError
from server.model.mel import mel_filterbank

__all__ = ["FRAMES", "SAMPLE_RATE", "Judge", "JudgeNet", "Verdict", "spectrogram"]

SAMPLE_RATE: Final = 16000
N_FFT: Final = 1024
WIN_LENGTH: Final = 800
HOP_LENGTH: Final = 200
NUM_MELS: Final = 80
FRAMES: Final = 208
"""Frames of one window: 2.6 s."""
RANGE: Final = 10.0
"""Natural-log units below the loudest cell that are kept: 87 dB."""
QUIET: Final = 3.5
"""Windows this many natural-log units below the loudest one (30 dB) are ignored."""
WIDTHS: Final = (16, 40, 80, 128)
EMBEDDING: Final = 192

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """The judge's result: ``probabilities`` [classes] and ``embedding`` [2 * 192]."""

    probabilities: Array
    embedding: Array

    def top(self, count: int) -> list[int]:
        """The ``count`` likeliest classes, likeliest first."""
        return [int(index) for index in np.argsort(-self.probabilities)[:count]]


def spectrogram(samples: npt.NDArray[np.floating]) -> Tensor:
    """Natural-log mel magnitudes [T, 80] of ``samples`` [frames] at 16 kHz, 80 frames a second."""
    waveform = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    waveform = functional.pad(waveform, (0, max(0, N_FFT - len(waveform))))
    spectrum = torch.stft(
        waveform,
        N_FFT,
        HOP_LENGTH,
        WIN_LENGTH,
        window=torch.hann_window(WIN_LENGTH),
        pad_mode="constant",
        return_complex=True,
    ).abs()
    filters = mel_filterbank(sample_rate=SAMPLE_RATE, n_fft=N_FFT, num_mels=NUM_MELS)
    return torch.log((torch.from_numpy(filters) @ spectrum).clamp(min=1e-6)).T


def normalise(windows: Tensor) -> Tensor:
    """Windows [B, FRAMES, 80] relative to their loudest cell, in about [-1, 1]."""
    loudest = windows.amax(dim=(1, 2), keepdim=True)
    return (windows - loudest).clamp(min=-RANGE) / (RANGE / 2) + 1.0


class _Block(nn.Module):
    """Two 3x3 convolutions with a skip, halving both axes first."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.shorten = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm1(self.shorten(x)))
        return functional.relu(x + self.norm2(self.conv(x)))


class JudgeNet(nn.Module):
    """``windows [B, FRAMES, 80] (normalised) -> logits [B, classes], embedding [B, 384]``."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        widths = (2, *WIDTHS)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in zip(widths, WIDTHS, strict=False)))
        self.over_frequency = nn.Conv2d(WIDTHS[-1], EMBEDDING, (1, NUM_MELS // 2 ** len(WIDTHS)))
        self.head = nn.Linear(2 * EMBEDDING, num_classes)
        # Convolutions are shift-invariant; this input gives them the position in the spectrum.
        self.register_buffer("height", torch.linspace(-1.0, 1.0, NUM_MELS), persistent=False)
        self.dropout = nn.Dropout(0.2)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        height = self.height.expand_as(windows)
        features = self.blocks(torch.stack((windows, height), dim=1))
        columns = functional.relu(self.over_frequency(features)).flatten(2)
        embedding = torch.cat((columns.mean(dim=2), columns.amax(dim=2)), dim=1)
        return self.head(self.dropout(embedding)), embedding


class Judge:
    """A trained net with the names of its classes."""

    def __init__(self, net: JudgeNet, classes: Sequence[str]) -> None:
        self.net = net.eval()
        self.classes = tuple(classes)

    @classmethod
    def load(cls, path: Path | None = None) -> Judge:
        """Read a judge; without ``path`` the one in the package.

        Raises:
            ModelError: no such file, or not a judge.
        """
        from safetensors import SafetensorError, safe_open

        source = path or Path(str(files("training.evaluation") / "data" / "judge.safetensors"))
        try:
            with safe_open(source, framework="pt") as stream:
                classes = json.loads(stream.metadata()["classes"])
                weights = {name: stream.get_tensor(name).float() for name in stream.keys()}  # noqa: SIM118
            net = JudgeNet(len(classes))
            # Only batch norm's counters of batches, which nothing reads, are not in the file.
            counters = {name: value for name, value in net.state_dict().items() if value.ndim == 0}
            net.load_state_dict(counters | weights)
        except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
            raise ModelError(
                f"{source} is no judge: {error}. Train one with: "
                "python -m training.evaluation.judge_training --sounds FOLDER --out FILE"
            ) from error
        return cls(net, classes)

    def save(self, path: Path, **notes: str) -> None:
        """Write weights as float16 with the class names and ``notes`` in the header."""
        from safetensors.torch import save_file

        state = self.net.state_dict()
        weights = {
            name: value.half().contiguous()
            for name, value in state.items()
            if value.is_floating_point()
        }
        save_file(weights, path, metadata={"classes": json.dumps(self.classes), **notes})

    def classify(self, samples: npt.NDArray[np.floating]) -> Verdict:
        """Classify ``samples`` [frames] at 16 kHz: the mean over its windows that are not quiet."""
        return self.classify_frames(spectrogram(samples))

    def classify_frames(self, frames: Tensor) -> Verdict:
        """Classify a :func:`spectrogram` [T, 80]."""
        windows = torch.stack(loud_windows(frames))
        with torch.no_grad():
            logits, embedding = self.net(normalise(windows))
        probabilities = functional.softmax(logits, dim=1).mean(dim=0)
        return Verdict(probabilities.numpy(), embedding.mean(dim=0).numpy())

    def classify_all(self, clips: Iterable[npt.NDArray[np.floating]]) -> list[Verdict]:
        """A verdict for each clip."""
        return [self.classify(samples) for samples in clips]


def loud_windows(frames: Tensor) -> list[Tensor]:
    """Windows [FRAMES, 80] of ``frames`` [T, 80], half overlapping, without the quiet ones."""
    if len(frames) <= FRAMES:
        return [pad_frames(frames, 0)]
    last = len(frames) - FRAMES
    starts = sorted({*range(0, last, FRAMES // 2), last})
    windows = [frames[start : start + FRAMES] for start in starts]
    loudest = float(frames.max())
    return [window for window in windows if float(window.max()) > loudest - QUIET]


def pad_frames(frames: Tensor, offset: int) -> Tensor:
    """``frames`` [T <= FRAMES, 80] placed at ``offset`` in silence."""
    silence = float(frames.max()) - RANGE
    after = FRAMES - offset - len(frames)
    return functional.pad(frames, (0, 0, offset, after), value=silence)
