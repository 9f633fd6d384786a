"""The convolutional mel front end against torch.stft and librosa's filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onnx_export.sources.mel import CentredLogMel

pytestmark = pytest.mark.integration

AUDIOLDM = CentredLogMel(
    sample_rate=16000, n_fft=1024, hop_length=160, num_mels=64, fmin=0, fmax=8000, decibels=False
)
CLAP = CentredLogMel(
    sample_rate=48000, n_fft=1024, hop_length=480, num_mels=64, fmin=50, fmax=14000, decibels=True
)


@pytest.fixture(scope="module")
def sweep() -> torch.Tensor:
    """One second at 16 kHz from 50 Hz up to 7.8 kHz, with a little noise."""
    time = torch.arange(16000) / 16000
    noise = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    return (0.3 * torch.sin(2 * torch.pi * (50 + 3900 * time) * time) + 1e-3 * noise)[None]


def _power(waveform: torch.Tensor, hop_length: int) -> torch.Tensor:
    spectrum = torch.stft(
        waveform.double(),
        n_fft=1024,
        hop_length=hop_length,
        window=torch.hann_window(1024, dtype=torch.float64),
        return_complex=True,
    )
    return spectrum.abs().square().transpose(1, 2)


def test_log_magnitude_is_that_of_torch_stft(sweep: torch.Tensor) -> None:
    magnitude = _power(sweep, 160).sqrt()
    expected = (magnitude @ AUDIOLDM.filters.double()).clamp(min=1e-5).log()
    assert (AUDIOLDM(sweep) - expected).abs().max() < 2e-4


def test_decibels_are_those_of_torch_stft(sweep: torch.Tensor) -> None:
    energy = _power(sweep, 480) @ CLAP.filters.double()
    expected = energy.clamp(min=1e-10).log10() * 10
    assert (CLAP(sweep) - expected).abs().max() < 2e-3


def test_filters_are_librosas() -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    for ours, sr, fmin, fmax in ((AUDIOLDM, 16000, 0, 8000), (CLAP, 48000, 50, 14000)):
        theirs = librosa.filters.mel(sr=sr, n_fft=1024, n_mels=64, fmin=fmin, fmax=fmax)
        np.testing.assert_allclose(ours.filters.T, theirs, atol=1e-7)


def test_filters_are_those_of_transformers() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    for ours, sr, fmin, fmax in ((AUDIOLDM, 16000, 0, 8000), (CLAP, 48000, 50, 14000)):
        theirs = audio_utils.mel_filter_bank(
            513, 64, fmin, fmax, sr, norm="slaney", mel_scale="slaney"
        )
        np.testing.assert_allclose(ours.filters, theirs, atol=1e-7)


def test_filters_are_slaneys() -> None:
    # Slaney's scale is linear up to 1 kHz, 200/3 Hz a mel; 8 kHz are 45.2456 mel. So the third
    # triangle rises from 2 * 45.2456 / 65 mel to one step higher, and its area is 1.
    step = 45.245641 / 65 * 200 / 3
    bins = torch.arange(513) * 16000 / 1024
    triangle = torch.minimum((bins - 2 * step) / step, (4 * step - bins) / step).clamp(min=0)
    torch.testing.assert_close(AUDIOLDM.filters[:, 2], triangle / step, atol=1e-6, rtol=0)


def test_silence_is_the_floor() -> None:
    frames = AUDIOLDM(torch.zeros(1, 1600))
    assert frames.shape == (1, 11, 64)
    assert torch.allclose(frames, torch.tensor(1e-5).log())
