"""Template plus weights is the fresh export, bit for bit, and needs no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import onnx
import pytest
import torch

from onnx_export.graphs.files import load_graph
from onnx_export.graphs.precision import WeightStorage
from onnx_export.quantise import quantise
from onnx_export.sources.random_source import RandomSource
from onnx_export.templates import PUBLISHED, make_template, wanted_for, write_templates
from server.checkpoints.checkpoint import Checkpoint
from server.checkpoints.diffusers_folder import DiffusersWeights
from server.checkpoints.folder import convert
from server.checkpoints.graph import IDENTITY_KEY
from server.checkpoints.original import OriginalFile
from server.checkpoints.templates import Templates, built_in_templates
from server.errors import ModelError
from server.model.examples import snr_db
from server.model.manifest import COMPONENTS, Manifest

# Tracing takes seconds on a quiet machine and minutes on a busy one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def templates(narrow_source: RandomSource, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    path = tmp_path_factory.mktemp("templates") / "templates.tar.xz"
    write_templates(path, list(wanted_for(narrow_source)))
    return Templates(path)


@pytest.fixture(scope="module")
def diffusers_weights(narrow_diffusers: Path) -> Checkpoint:
    return DiffusersWeights(narrow_diffusers, None, "narrow", "CC0-1.0")


@pytest.fixture(scope="module")
def original_file(narrow_checkpoint: Path, narrow_folder: Path) -> Checkpoint:
    return OriginalFile(narrow_checkpoint, narrow_folder, "CC0-1.0")


def graph(path: Path) -> onnx.ModelProto:
    """The graph with its weights inside, without the mark that says whose they are."""
    model = load_graph(path)
    kept = [entry for entry in model.metadata_props if entry.key != IDENTITY_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model


def assert_same_graphs(made: Path, exported: Path) -> None:
    Manifest.load(made).verify(made)
    for name in COMPONENTS:
        assert graph(made / f"{name}.onnx") == graph(exported / f"{name}.onnx"), name


def test_a_diffusers_folder_becomes_the_fresh_export(
    diffusers_weights: Checkpoint, templates: Templates, narrow_folder: Path, tmp_path: Path
) -> None:
    convert(tmp_path / "made", diffusers_weights, templates)
    assert_same_graphs(tmp_path / "made", narrow_folder)


def test_an_original_checkpoint_becomes_the_fresh_export(
    original_file: Checkpoint, templates: Templates, narrow_folder: Path, tmp_path: Path
) -> None:
    convert(tmp_path / "made", original_file, templates)
    assert_same_graphs(tmp_path / "made", narrow_folder)


@pytest.mark.parametrize("precision", ["fp16-weights", "int8-weights"])
def test_smaller_weights_are_those_of_the_exporter(
    precision: WeightStorage,
    diffusers_weights: Checkpoint,
    templates: Templates,
    narrow_folder: Path,
    tmp_path: Path,
) -> None:
    convert(tmp_path / "made", diffusers_weights, templates, precision=precision)
    quantise(narrow_folder, tmp_path / "exported", precision)
    assert_same_graphs(tmp_path / "made", tmp_path / "exported")


def test_half_precision_is_that_of_the_exporter(
    narrow_source: RandomSource,
    diffusers_weights: Checkpoint,
    templates: Templates,
    tmp_path: Path,
) -> None:
    from onnx_export.export import export_source

    manifest = convert(tmp_path / "made", diffusers_weights, templates, precision="fp16")
    export_source(tmp_path / "exported", narrow_source, precision="fp16", flavour="cuda")
    assert manifest.flavour == "cuda"
    assert_same_graphs(tmp_path / "made", tmp_path / "exported")


def test_an_older_repository_becomes_the_fresh_export(
    narrow_diffusers: Path, templates: Templates, narrow_folder: Path, tmp_path: Path
) -> None:
    """Pickled weights, and the names that attention had when AudioLDM was published."""
    from safetensors.torch import load_file

    folder = tmp_path / "older"
    shutil.copytree(narrow_diffusers, folder)
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for network in ("unet", "vae"):
        path = folder / network / "diffusion_pytorch_model.safetensors"
        state = load_file(path)
        if network == "vae":
            for new, old in older.items():
                state = {key.replace(f".{new}.", f".{old}."): state[key] for key in state}
        torch.save(state, path.with_suffix(".bin"))
        path.unlink()
    convert(tmp_path / "made", DiffusersWeights(folder, None, "narrow", "CC0-1.0"), templates)
    assert_same_graphs(tmp_path / "made", narrow_folder)


def test_no_weight_is_on_the_disk_twice(
    diffusers_weights: Checkpoint, templates: Templates, narrow_diffusers: Path, tmp_path: Path
) -> None:
    manifest = convert(tmp_path / "made", diffusers_weights, templates)
    unet = narrow_diffusers / "unet/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "made/unet.safetensors").samefile(unet)
    own = [path for path in (tmp_path / "made").iterdir() if path.stat().st_nlink == 1]
    assert sum(path.stat().st_size for path in own) < 5e6
    assert manifest.weights_bytes["unet"] > unet.stat().st_size * 0.9


def test_the_audio_tower_is_known_by_its_weights(
    diffusers_weights: Checkpoint,
    original_file: Checkpoint,
    templates: Templates,
    tmp_path: Path,
) -> None:
    one = convert(tmp_path / "one", diffusers_weights, templates)
    again = convert(tmp_path / "again", diffusers_weights, templates)
    other = convert(tmp_path / "other", original_file, templates)
    assert one.audio_tower == again.audio_tower != other.audio_tower


def test_every_published_variant_has_a_template_and_all_are_small() -> None:
    shipped = built_in_templates()
    for wanted in PUBLISHED:
        found = shipped.find(
            wanted.component, wanted.source.sizes, wanted.source.manifest_heads, half=wanted.half
        )
        assert found.graph
        assert found.info.golden
    assert shipped.path.stat().st_size <= 1_000_000


def test_a_shipped_template_is_what_the_exporter_makes() -> None:
    """One of the cheap ones; the others are made in the same run."""
    wanted = next(entry for entry in PUBLISHED if entry.component == "vae_decoder")
    sizes, heads = wanted.source.sizes, wanted.source.manifest_heads
    shipped, made = built_in_templates().find("vae_decoder", sizes, heads), make_template(wanted)
    assert snr_db(made.info.golden, shipped.info.golden) > 80
    golden = msgspec.structs.replace(made.info, golden=shipped.info.golden)
    assert msgspec.structs.replace(made, info=golden) == shipped


def test_other_sizes_are_refused_with_the_way_out(
    diffusers_weights: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="audioldm-export"):
        convert(tmp_path / "made", diffusers_weights, built_in_templates())
    assert not (tmp_path / "made").exists()


def test_an_incomplete_checkpoint_leaves_nothing(
    narrow_diffusers: Path, templates: Templates, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(narrow_diffusers, broken)
    path = broken / "unet/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="truncated"):
        convert(tmp_path / "made", DiffusersWeights(broken, None, "x", "CC0-1.0"), templates)
    assert not (tmp_path / "made").exists()


def test_converting_imports_neither_torch_nor_onnx(
    narrow_diffusers: Path, templates: Templates, tmp_path: Path
) -> None:
    code = f"""
import sys
from pathlib import Path
from server.checkpoints.diffusers_folder import DiffusersWeights
from server.checkpoints.folder import convert
from server.checkpoints.templates import Templates
weights = DiffusersWeights(Path({str(narrow_diffusers)!r}), None, "narrow", "CC0-1.0")
convert(Path({str(tmp_path / "made")!r}), weights, Templates(Path({str(templates.path)!r})))
heavy = {{"torch", "onnx", "transformers", "diffusers", "safetensors"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
