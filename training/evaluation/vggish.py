"""VGGish (arXiv:1609.09430): the embedding behind the Fréchet audio distance.

The weights are those of the torch port ``torchvggish`` (``vggish-10086976.pth``, Apache-2.0),
given by path. As audioldm_eval uses it: no PCA, and without the last ReLU, so that each
0.96 s of audio gives 128 numbers.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from server.errors import ModelError
from training.evaluation.panns import read_checkpoint

__all__ = ["EMBEDDING", "SAMPLE_RATE", "VGGish", "load_vggish", "vggish_examples"]

SAMPLE_RATE: Final = 16000
WIN_LENGTH: Final = 400
HOP_LENGTH: Final = 160
N_FFT: Final = 512
NUM_MELS: Final = 64
MEL_RANGE_HZ: Final = (125.0, 7500.0)
LOG_OFFSET: Final = 0.01
EXAMPLE_FRAMES: Final = 96
"""0.96 s; examples do not overlap."""
EMBEDDING: Final = 128
WIDTHS: Final = ((1, 64), (64, 128), (128, 256, 256), (256, 512, 512))


class VGGish(nn.Module):
    """``examples [N, 1, 96, 64] -> embeddings [N, 128]``."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for widths in WIDTHS:
            for a, b in pairwise(widths):
                layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(WIDTHS[-1][-1] * 6 * 4, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, EMBEDDING),
        )

    def forward(self, examples: Tensor) -> Tensor:
        # The weights come from TensorFlow, which flattens with the channels last.
        features = self.features(examples).permute(0, 2, 3, 1).flatten(1)
        return self.embeddings(features)

    def embed(self, samples: npt.NDArray[np.floating]) -> npt.NDArray[Any]:
        """Embeddings [N, 128] of ``samples`` [frames] at 16 kHz, one per 0.96 s."""
        examples = torch.from_numpy(vggish_examples(samples))[:, None]
        with torch.no_grad():
            return self(examples).numpy()


def load_vggish(path: Path) -> VGGish:
    """VGGish with the published weights in ``path``.

    Raises:
        ModelError: not readable, or not VGGish's weights.
    """
    model = VGGish()
    try:
        model.load_state_dict(dict(read_checkpoint(path)))
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not hold VGGish weights (wanted: vggish-10086976.pth): {error}"
        ) from error
    return model.eval()


def vggish_examples(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Log-mel examples [N, 96, 64] of ``samples`` [frames]; a clip below 0.975 s is padded."""
    shortest = WIN_LENGTH + (EXAMPLE_FRAMES - 1) * HOP_LENGTH
    padded = np.pad(samples, (0, max(0, shortest - len(samples)))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WIN_LENGTH)[::HOP_LENGTH]
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WIN_LENGTH) / WIN_LENGTH)
    magnitude = np.abs(np.fft.rfft(frames * window, N_FFT))
    log_mel = np.log(magnitude @ _htk_filters() + LOG_OFFSET)
    count = len(log_mel) // EXAMPLE_FRAMES
    examples = log_mel[: count * EXAMPLE_FRAMES].reshape(count, EXAMPLE_FRAMES, NUM_MELS)
    return np.asarray(examples, dtype=np.float32)


def _htk_filters() -> npt.NDArray[np.float64]:
    """Triangles [257, 64] that are straight on the HTK mel scale, not area-normalised."""

    def mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(hertz / 700.0))

    bins = mel(np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1))[:, None]
    low, high = mel(np.array(MEL_RANGE_HZ))
    edges = np.linspace(low, high, NUM_MELS + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0  # the constant component never counts
    return np.asarray(filters)
