"""``audioldm-export vocoder``: another model's vocoder in a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from onnx_export.cli import main
from onnx_export.vocoder_swap import with_vocoder
from server.config import built_in_model
from server.errors import InvalidRequest
from server.model.autoencoder import Autoencoder
from server.model.manifest import Manifest
from server.model.session import Graph, providers_for

pytestmark = pytest.mark.integration


def test_a_model_plays_through_the_built_in_vocoder(narrow_folder: Path, tmp_path: Path) -> None:
    assert main(["vocoder", str(narrow_folder), "-o", str(tmp_path / "other")]) == 0
    manifest = Manifest.load(tmp_path / "other")
    manifest.verify(tmp_path / "other")
    assert manifest.vocoder_cells == Manifest.load(built_in_model()).vocoder_cells
    assert {"VOCODER_CREDITS.md", "VOCODER_NOTICES.txt"} <= manifest.files.keys()
    graphs = {
        name: Graph(tmp_path / "other" / f"{name}.onnx", providers_for("cpu"), 1)
        for name in manifest.components
    }
    latent = np.zeros((manifest.latent.channels, 16, manifest.latent.mel_bins), np.float32)
    sound = Autoencoder(manifest, graphs).decode(latent)
    assert sound.shape == (16 * manifest.samples_per_latent_frame,)
    assert np.isfinite(sound).all()


def test_another_spectrogram_is_refused(narrow_folder: Path, tmp_path: Path) -> None:
    donor = tmp_path / "donor"
    shutil.copytree(narrow_folder, donor)
    manifest = Manifest.load(narrow_folder)
    msgspec.structs.replace(manifest, num_mels=80).save(donor)
    with pytest.raises(InvalidRequest, match="num_mels is 64"):
        with_vocoder(narrow_folder, tmp_path / "other", donor)
