"""AudioLDM-S, the real architecture with random weights: graphs against torch, end to end.

``audioldm-export random --variant m`` and ``verify`` do the same for the larger ones; see
docs/exporting.md.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from against_diffusers import EndToEnd, relative_error

from onnx_export.export import export_source
from onnx_export.graphs.files import save_graph
from onnx_export.graphs.signatures import signatures
from onnx_export.graphs.tracing import export_graph
from onnx_export.parity import TOLERANCE, compare_component
from onnx_export.sources.original_checkpoint import OriginalCheckpoint
from onnx_export.sources.random_source import (
    RandomSource,
    diffusers_pipeline,
    write_original_checkpoint,
)
from onnx_export.sources.source import component
from server.checkpoints.architecture import VARIANTS
from server.model.folder import seal
from server.model.manifest import COMPONENTS

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1800)]
END_TO_END = 1e-3


@pytest.fixture(scope="module")
def source() -> RandomSource:
    return RandomSource(VARIANTS["s"], "audioldm-s-random")


@pytest.fixture(scope="module")
def folder(source: RandomSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s") / "original-heads"
    export_source(folder, source)
    return folder


@pytest.fixture(scope="module")
def folder_of_eight_heads(source: RandomSource, folder: Path) -> Path:
    """The same weights with diffusers' heads: only the unet's graph differs."""
    eight = replace(source, heads="diffusers")
    other = folder.with_name("eight-heads")
    other.mkdir()
    for path in folder.iterdir():
        if path.name not in ("unet.onnx", "manifest.json"):
            os.link(path, other / path.name)
    manifest, unet = eight.manifest, component(eight, "unet")
    save_graph(export_graph(unet, signatures(manifest)["unet"], other), other / "unet.onnx")
    seal(other, manifest, "fp32")
    return other


@pytest.mark.parametrize("name", COMPONENTS)
def test_component_is_what_torch_computes(name: str, folder: Path, source: RandomSource) -> None:
    rows = list(compare_component(folder, source.manifest, name, component(source, name)))
    assert max(row.relative_error for row in rows) <= TOLERANCE["fp32"]


def test_end_to_end_with_the_heads_of_the_original(folder: Path, source: RandomSource) -> None:
    job = EndToEnd(num_inference_steps=5)
    theirs = job.theirs(diffusers_pipeline(source), folder)
    assert relative_error(job.ours(folder), theirs) <= END_TO_END


def test_end_to_end_with_the_heads_of_diffusers(
    folder: Path, folder_of_eight_heads: Path, source: RandomSource
) -> None:
    job = EndToEnd(negative_prompt="hiss", num_inference_steps=5)
    theirs = job.theirs(diffusers_pipeline(replace(source, heads="diffusers")), folder)
    assert relative_error(job.ours(folder_of_eight_heads), theirs) <= END_TO_END
    # The heads are not a detail: the other setting is another sound.
    assert relative_error(job.ours(folder), theirs) > 10 * END_TO_END


def test_original_checkpoint_holds_the_same_networks(source: RandomSource, tmp_path: Path) -> None:
    path = tmp_path / "s.ckpt"
    write_original_checkpoint(source, path)
    read = OriginalCheckpoint(path, "unused", "CC0-1.0")
    assert read.manifest.latent == source.manifest.latent
    assert read.manifest.architecture == source.manifest.architecture
    for name in ("unet", "vae", "vocoder", "text_encoder", "audio_encoder"):
        expected, got = source.network(name).state_dict(), read.network(name).state_dict()
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected), name
