"""Slaney's scale and its filters against librosa's."""

from __future__ import annotations

import numpy as np
import pytest

from server.model.manifest import Latent, Manifest
from server.model.mel import hz_to_mel, latent_bin_edges_hz, mel_filterbank, mel_to_hz

SETTINGS = {
    "of AudioLDM": (16000, 1024, 64, 0.0, None),
    "of CLAP": (48000, 1024, 64, 50.0, 14000.0),
    "of the judge": (16000, 512, 64, 0.0, None),
    "of Cnn14": (32000, 1024, 64, 50.0, None),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_filters_are_librosas(setting: tuple[int, int, int, float, float | None]) -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    sample_rate, n_fft, num_mels, fmin, fmax = setting
    ours = mel_filterbank(
        sample_rate=sample_rate, n_fft=n_fft, num_mels=num_mels, fmin=fmin, fmax=fmax
    )
    theirs = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=num_mels, fmin=fmin, fmax=fmax)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_the_scale_is_linear_below_1_khz_and_logarithmic_above() -> None:
    np.testing.assert_allclose(hz_to_mel([0.0, 200.0, 1000.0, 6400.0]), [0.0, 3.0, 15.0, 42.0])
    hertz = np.linspace(0.0, 24000.0, 1001)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hertz)), hertz, atol=1e-9)


def test_latent_bins_cover_the_filters() -> None:
    manifest = Manifest(name="m", licence="", source="", latent=Latent(mel_bins=16))
    edges = latent_bin_edges_hz(manifest)
    assert edges.shape == (16, 2)
    assert edges[0, 0] == 0.0
    assert edges[-1, 1] == pytest.approx(8000.0)
    assert (edges[1:, 0] < edges[:-1, 1]).all(), "neighbours overlap by one filter"
