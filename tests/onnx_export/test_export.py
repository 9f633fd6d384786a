"""A model folder is whole, is what torch computes, and never lies about half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from onnx_export.components import Components
from onnx_export.export import export_source, half_precision, write_model_folder
from onnx_export.graphs.files import buffer_names, save_graph
from onnx_export.graphs.precision import WeightStorage
from onnx_export.graphs.signatures import signatures
from onnx_export.graphs.tracing import export_graph
from onnx_export.graphs.weights import read_state_dict
from onnx_export.parity import TOLERANCE, compare, compare_component
from onnx_export.quantise import quantise
from onnx_export.sources.random_source import RandomSource
from onnx_export.sources.source import component
from server.errors import InvalidRequest, ModelError
from server.model.manifest import COMPONENTS, Manifest

# Tracing takes seconds on a quiet machine and minutes on a busy one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

BOUNDS: dict[WeightStorage, float] = {"fp16-weights": 2**-11, "int8-weights": 0.5 / 127}
"""Largest error of a stored weight, as a fraction of the largest weight of its tensor."""


def test_every_graph_is_what_torch_computes(
    narrow_folder: Path, narrow_source: RandomSource
) -> None:
    rows = list(compare(narrow_folder, narrow_source))
    assert {row.component for row in rows} == set(COMPONENTS)
    assert max(row.relative_error for row in rows) <= TOLERANCE["fp32"]


def test_the_vocoder_in_two_dimensions_is_the_same(narrow_source: RandomSource) -> None:
    plain, wide = narrow_source.network("vocoder"), component(narrow_source, "vocoder")
    log_mel = torch.randn((2, 20, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(wide(log_mel), plain(log_mel))


def test_comparison_notices_other_weights(narrow_folder: Path, narrow_source: RandomSource) -> None:
    other = component(replace(narrow_source, seed=2), "vae_decoder")
    rows = compare_component(narrow_folder, narrow_source.manifest, "vae_decoder", other)
    assert min(row.relative_error for row in rows) > TOLERANCE["int8-weights"]


def test_comparison_refuses_other_heads(narrow_folder: Path, narrow_source: RandomSource) -> None:
    with pytest.raises(InvalidRequest, match="attention heads"):
        next(compare(narrow_folder, replace(narrow_source, heads="diffusers")))


def test_manifest_describes_the_folder(narrow_folder: Path) -> None:
    manifest = Manifest.load(narrow_folder)
    manifest.verify(narrow_folder)
    assert manifest.files.keys() == {f"{name}.onnx" for name in COMPONENTS} | {"tokenizer.json"}
    assert manifest.architecture["attention_heads"] == [1, 2, 3, 5]
    assert manifest.tokenizer.vocab_size == 600
    assert "random" in manifest.source
    graph = onnx.load(narrow_folder / "unet.onnx", load_external_data=False)
    assert manifest.opset == graph.opset_import[0].version


def test_initializers_are_called_as_in_the_state_dict(
    narrow_folder: Path, narrow_source: RandomSource
) -> None:
    for name in COMPONENTS:
        module = component(narrow_source, name)
        state = read_state_dict(narrow_folder / f"{name}.onnx")
        for key, parameter in module.named_parameters():
            # The decoder's graph holds no encoder and the other way round.
            if key in state:
                torch.testing.assert_close(state[key], parameter.detach(), rtol=0, atol=0)
        used = set(state) - buffer_names(onnx.load(narrow_folder / f"{name}.onnx"))
        assert used <= {key for key, _ in module.named_parameters()}
        if not name.startswith("vae"):
            assert used == {key for key, _ in module.named_parameters()}


@pytest.mark.parametrize("storage", ["fp16-weights", "int8-weights"])
def test_smaller_weights_stay_close(
    storage: WeightStorage, narrow_folder: Path, narrow_source: RandomSource, tmp_path: Path
) -> None:
    manifest = quantise(narrow_folder, tmp_path / "small", storage)
    rows = list(compare(tmp_path / "small", narrow_source))
    assert 1e-5 < max(row.relative_error for row in rows) <= TOLERANCE[storage]
    assert Manifest.load(tmp_path / "small").precision == storage
    share = 0.35 if storage == "int8-weights" else 0.6
    whole = Manifest.load(narrow_folder).files["unet.onnx"].bytes
    assert manifest.files["unet.onnx"].bytes < share * whole


@pytest.mark.slow
def test_half_precision_unet_has_float32_boundaries(
    narrow_source: RandomSource, tmp_path: Path
) -> None:
    unet, manifest = component(narrow_source, "unet"), narrow_source.manifest
    graph = export_graph(half_precision(unet), signatures(manifest)["unet"], tmp_path)
    floats = onnx.TensorProto.FLOAT
    boundary = [*graph.graph.input, *graph.graph.output]
    assert {value.type.tensor_type.elem_type for value in boundary} == {floats}
    assert next(unet.parameters()).dtype == torch.float32
    save_graph(graph, tmp_path / "unet.onnx")
    errors = [row.relative_error for row in compare_component(tmp_path, manifest, "unet", unet)]
    assert 1e-5 < max(errors) <= TOLERANCE["fp16"]


def test_quantised_weights_are_read_back(narrow_folder: Path, tmp_path: Path) -> None:
    exact = read_state_dict(narrow_folder / "unet.onnx")
    for storage, bound in BOUNDS.items():
        quantise(narrow_folder, tmp_path / storage, storage)
        stored = read_state_dict(tmp_path / storage / "unet.onnx")
        assert stored.keys() == exact.keys()
        for key, value in exact.items():
            error = (stored[key] - value).abs().max()
            assert error <= bound * 1.01 * value.abs().max(), key


def test_mel_filters_are_never_quantised(narrow_folder: Path, tmp_path: Path) -> None:
    quantise(narrow_folder, tmp_path / "small", "int8-weights")
    exact = read_state_dict(narrow_folder / "vae_encoder.onnx")["log_mel.filters"]
    stored = read_state_dict(tmp_path / "small" / "vae_encoder.onnx")["log_mel.filters"]
    assert torch.equal(exact, stored)


def test_quantising_twice_is_refused(narrow_folder: Path, tmp_path: Path) -> None:
    quantise(narrow_folder, tmp_path / "small", "int8-weights")
    with pytest.raises(InvalidRequest, match="start from a fp32"):
        quantise(tmp_path / "small", tmp_path / "smaller", "int8-weights")


def test_large_graphs_keep_their_weights_beside_them(
    narrow_folder: Path,
    narrow_source: RandomSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("onnx_export.graphs.files.INLINE_LIMIT", 1 << 20)
    folder = tmp_path / "large"
    manifest = quantise(narrow_folder, folder, "fp16-weights")
    assert manifest.files["unet.onnx.data"].bytes > 20 << 20
    assert manifest.files["unet.onnx"].bytes < 4 << 20
    Manifest.load(folder).verify(folder)
    decoder = component(narrow_source, "vae_decoder")
    rows = compare_component(folder, manifest, "vae_decoder", decoder)
    assert max(row.relative_error for row in rows) <= TOLERANCE["fp16-weights"]


@pytest.mark.slow
def test_folder_of_trained_components_carries_extra_files(
    narrow_source: RandomSource, tmp_path: Path
) -> None:
    modules = [component(narrow_source, name) for name in COMPONENTS]
    card = tmp_path / "card.md"
    card.write_text("made for a test")
    write_model_folder(
        tmp_path / "folder",
        Components(*modules, narrow_source.tokenizer),
        narrow_source.manifest,
        precision="int8-weights",
        extra_files={"MODEL_CARD.md": card},
    )
    assert "MODEL_CARD.md" in Manifest.load(tmp_path / "folder").files
    assert json.loads((tmp_path / "folder" / "manifest.json").read_bytes())["opset"] == 17


class _Breaks(RandomSource):
    def network(self, name: str) -> torch.nn.Module:
        if name == "vae":
            raise ModelError("the vae is gone")
        return super().network(name)


def test_failed_export_leaves_nothing_behind(narrow_source: RandomSource, tmp_path: Path) -> None:
    broken = _Breaks(narrow_source.sizes, "broken")
    with pytest.raises(ModelError, match="gone"):
        export_source(tmp_path / "folder", broken)
    assert list(tmp_path.iterdir()) == []


def test_failed_export_keeps_the_older_folder(
    narrow_source: RandomSource, narrow_folder: Path, tmp_path: Path
) -> None:
    quantise(narrow_folder, tmp_path / "folder", "int8-weights")
    before = Manifest.load(tmp_path / "folder").digest
    with pytest.raises(ModelError, match="gone"):
        export_source(tmp_path / "folder", _Breaks(narrow_source.sizes, "broken"))
    assert Manifest.load(tmp_path / "folder").digest == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_foreign_folder_is_not_overwritten(narrow_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidRequest, match="no model folder"):
        quantise(narrow_folder, tmp_path, "int8-weights")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_random_weights_depend_on_the_seed_alone(narrow_source: RandomSource) -> None:
    first, again = (narrow_source.network("vocoder").state_dict() for _ in range(2))
    other = replace(narrow_source, seed=2).network("vocoder").state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["conv_pre.weight"], other["conv_pre.weight"])


def test_random_tokenizer_reads_any_text(narrow_source: RandomSource) -> None:
    tokenizer = narrow_source.tokenizer
    assert tokenizer.get_vocab_size() == 600
    assert tokenizer.encode("").ids == [0, 2]
    ids = tokenizer.encode("Größe, 犬 & <dog>").ids
    assert tokenizer.decode(ids) == "Größe, 犬 & <dog>"
    assert np.unique(ids).size > 10
