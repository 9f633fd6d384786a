"""PANNs Cnn14 for 16 kHz (arXiv:1912.10211): the classifier behind the paper's FD, IS and KL.

The weights are published as ``Cnn14_16k_mAP=0.438.pth`` (Zenodo record 3987831, CC BY 4.0) and
are given by path; nothing is downloaded. Parameter names are those of the published file.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from server.errors import ModelError
from server.model.mel import mel_filterbank

__all__ = ["NUM_CLASSES", "SAMPLE_RATE", "Cnn14", "load_cnn14", "read_checkpoint"]

SAMPLE_RATE: Final = 16000
NUM_CLASSES: Final = 527
N_FFT: Final = 512
HOP_LENGTH: Final = 160
NUM_MELS: Final = 64
WIDTHS: Final = (1, 64, 128, 256, 512, 1024, 2048)
MIN_SAMPLES: Final = 32000
"""audioldm_eval pads shorter clips with silence to two seconds."""
FRONT_END: Final = ("spectrogram_extractor.", "logmel_extractor.")


class _ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, then average pooling by ``pool`` on both axes."""

    def __init__(self, channels_in: int, channels: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.avg_pool2d(x, self.pool)


class Cnn14(nn.Module):
    """``waveform [B, S] at 16 kHz -> embedding [B, 2048], logits [B, 527]``; inference only."""

    def __init__(self) -> None:
        super().__init__()
        filters = mel_filterbank(sample_rate=SAMPLE_RATE, n_fft=N_FFT, num_mels=NUM_MELS, fmin=50.0)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.bn0 = nn.BatchNorm2d(NUM_MELS)
        for number, (a, b) in enumerate(pairwise(WIDTHS), start=1):
            pool = 1 if number == len(WIDTHS) - 1 else 2
            self.add_module(f"conv_block{number}", _ConvBlock(a, b, pool))
        self.fc1 = nn.Linear(WIDTHS[-1], WIDTHS[-1])
        self.fc_audioset = nn.Linear(WIDTHS[-1], NUM_CLASSES)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        x = self.bn0(self.log_mel(waveform).transpose(1, 3)).transpose(1, 3)
        for number in range(1, len(WIDTHS)):
            x = self.get_submodule(f"conv_block{number}")(x)
        x = x.mean(dim=3)
        embedding = functional.relu(self.fc1(x.amax(dim=2) + x.mean(dim=2)))
        return embedding, self.fc_audioset(embedding)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Power mels in dB, [B, 1, T, 64]."""
        spectrum = torch.stft(
            waveform, N_FFT, HOP_LENGTH, window=self.window, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = torch.matmul(self.filters, power).transpose(1, 2)
        return 10.0 * torch.log10(mel.clamp(min=1e-10))[:, None]

    def classify(
        self, samples: npt.NDArray[np.floating]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Embedding [2048] and logits [527] of ``samples`` [frames] at 16 kHz, padded to 2 s."""
        waveform = torch.from_numpy(np.asarray(samples, dtype=np.float32))
        waveform = functional.pad(waveform, (0, max(0, MIN_SAMPLES - len(waveform))))
        with torch.no_grad():
            embedding, logits = self(waveform[None])
        return embedding[0].numpy(), logits[0].numpy()


def load_cnn14(path: Path) -> Cnn14:
    """Cnn14 with the published weights in ``path``.

    Raises:
        ModelError: not readable, or not Cnn14's weights.
    """
    weights = read_checkpoint(path)
    # The file also holds its own Fourier and mel matrices; ours are computed.
    kept = {name: value for name, value in weights.items() if not name.startswith(FRONT_END)}
    model = Cnn14()
    try:
        model.load_state_dict(kept)
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not hold Cnn14 weights (wanted: Cnn14_16k_mAP=0.438.pth): {error}"
        ) from error
    return model.eval()


def read_checkpoint(path: Path) -> Mapping[str, Tensor]:
    """The state dict in a ``.pth`` file, whether bare or under ``model``; runs no pickled code.

    Raises:
        ModelError: missing, damaged, or more than tensors in it.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} cannot be read as torch weights: {error}") from error
    weights = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping):
        raise ModelError(f"{path} holds {type(content).__name__}, not a state dict")
    return weights
