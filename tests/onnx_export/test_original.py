"""Original checkpoints: their names and shapes, their forward, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from original_unet import OriginalUnet

from onnx_export.sources.architecture import build_network
from onnx_export.sources.original_checkpoint import OriginalCheckpoint, clap_audio_encoder
from onnx_export.sources.random_source import RandomSource
from onnx_export.sources.torch_file import TorchFile
from server.checkpoints.architecture import VARIANTS, attention_heads
from server.checkpoints.original_names import PREFIXES, ema_name, is_constant, original_names
from server.errors import ModelError

# Tracing takes seconds on a quiet machine and minutes on a busy one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PUBLISHED = {
    # Taken from the classes of the packages audioldm 0.1.1 and laion-clap 1.1.7: how many
    # tensors, and sha256 over the sorted lines "name [shape]".
    ("s", "unet"): (690, "0228362fd323da9479dcd218a4d0261d6aadc49464e15b61473d80c3fb020dd7"),
    ("s", "vae"): (204, "19149ac0ac06575cc99471ab68a3d68c3a85cccbf63a7683d0245d5cc6e0aede"),
    ("s", "vocoder"): (194, "5537d1ab6014ff1a701db0f5a830cc071cc18838682d9a36fa1f0ff55ed94857"),
    ("s", "text_encoder"): (
        203,
        "238e6320c90bf118b55cdb24b2639c6e813310cfb848cf37c7a9cd0586b086c8",
    ),
    ("s", "audio_encoder"): (
        192,
        "caccf7f7214a6bce58eac3b4a55989d99abece32a7ea20993ba27fc6c1523ee9",
    ),
    ("m", "audio_encoder"): (
        276,
        "631df5f6fd10163753d739dd28647cd569686302d678acab19d437b7fb710534",
    ),
}


@pytest.mark.parametrize(("variant", "network"), PUBLISHED)
def test_names_and_shapes_are_the_published_ones(variant: str, network: str) -> None:
    sizes = VARIANTS[variant]
    with torch.device("meta"):
        state = build_network(network, sizes, attention_heads(sizes, "original")).state_dict()
    levels = len(sizes.unet_channels if network == "unet" else sizes.vae_channels)
    shapes: dict[str, list[int]] = {}
    for key, origin in original_names(network, list(state), levels).items():
        shape = list(state[key].shape)
        if origin.part is not None:
            shape[0] *= 3
        if ".attn_1." in origin.name and len(shape) == 2:
            shape += [1, 1]
        # CLAP's audio tower does store its constants.
        if network == "audio_encoder" or not is_constant(key):
            shapes[origin.name] = shape
    lines = sorted(f"{name} {shape}" for name, shape in shapes.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert (len(lines), digest) == PUBLISHED[variant, network]


@pytest.fixture(scope="module")
def original(narrow_checkpoint: Path) -> OriginalCheckpoint:
    return OriginalCheckpoint(narrow_checkpoint, "unused", "CC0-1.0")


def test_sizes_are_read_from_the_tensors(
    original: OriginalCheckpoint, narrow_source: RandomSource
) -> None:
    assert original.sizes == narrow_source.sizes
    assert original.manifest.latent == narrow_source.manifest.latent


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_of_the_published_variants_are_recognised(variant: str) -> None:
    sizes = VARIANTS[variant]
    tensors = {}
    with torch.device("meta"):
        for network in PREFIXES:
            state = build_network(network, sizes, attention_heads(sizes, "original")).state_dict()
            levels = len(sizes.unet_channels if network == "unet" else sizes.vae_channels)
            for key, origin in original_names(network, list(state), levels).items():
                tensors[PREFIXES[network] + origin.name] = state[key]
    from server.checkpoints.original_sizes import read_architecture

    assert read_architecture(TorchFile(Path("meta"), tensors)) == sizes


def test_unet_computes_what_the_original_does(original: OriginalCheckpoint) -> None:
    prefix = PREFIXES["unet"]
    plain = {name for name in original.file.tensors if name.startswith(prefix)}
    names = [name.removeprefix(prefix) for name in plain]
    averages = {name: original.file[ema_name(name)] for name in names}
    torch.manual_seed(0)
    sample, embedding = torch.randn(2, 8, 16, 16), torch.randn(2, 512)
    timestep = torch.tensor([3.0, 801.0])
    with torch.no_grad():
        expected = OriginalUnet(averages, head_channels=32)(sample, timestep, embedding)
        got = original.network("unet")(
            sample, timestep, encoder_hidden_states=None, class_labels=embedding
        ).sample
    assert float((got - expected).norm() / expected.norm()) < 1e-5


def test_eight_heads_are_another_model(narrow_checkpoint: Path) -> None:
    outputs = []
    torch.manual_seed(0)
    sample, embedding = torch.randn(1, 8, 8, 16), torch.randn(1, 512)
    for heads in ("original", "diffusers"):
        source = OriginalCheckpoint(narrow_checkpoint, "unused", "CC0-1.0", heads=heads)  # type: ignore[arg-type]
        with torch.no_grad():
            network = source.network("unet")
            outputs.append(
                network(sample, 500, encoder_hidden_states=None, class_labels=embedding).sample
            )
    assert source.manifest.architecture["attention_heads"] == [8, 8, 8, 8]
    assert float((outputs[0] - outputs[1]).norm() / outputs[0].norm()) > 1e-3


def test_averages_are_taken_unless_refused(
    narrow_checkpoint: Path, original: OriginalCheckpoint
) -> None:
    plain = OriginalCheckpoint(narrow_checkpoint, "unused", "CC0-1.0", ema=False)
    name, ours = "out.2.weight", "conv_out.weight"
    assert torch.equal(original.network("unet").state_dict()[ours], original.file[ema_name(name)])
    taken = plain.network("unet").state_dict()[ours]
    assert torch.equal(taken, plain.file[PREFIXES["unet"] + name])
    assert "EMA weights" in original.manifest.source
    assert "not EMA" in plain.manifest.source


def test_clap_checkpoint_gives_the_audio_tower(
    narrow_checkpoint: Path, narrow_source: RandomSource, tmp_path: Path
) -> None:
    prefix = PREFIXES["audio_encoder"]
    tensors = TorchFile.read(narrow_checkpoint).tensors
    clap = {f"module.{k.removeprefix(prefix)}": v for k, v in tensors.items() if prefix in k}
    torch.save({"epoch": 3, "state_dict": clap}, tmp_path / "clap.pt")
    expected = narrow_source.network("audio_encoder").state_dict()
    got = clap_audio_encoder(tmp_path / "clap.pt").state_dict()
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[key], expected[key]) for key in got)


def test_clap_with_feature_fusion_is_refused(narrow_checkpoint: Path, tmp_path: Path) -> None:
    prefix = PREFIXES["audio_encoder"]
    tensors = TorchFile.read(narrow_checkpoint).tensors
    clap = {k.removeprefix(prefix): v for k, v in tensors.items() if prefix in k}
    clap["audio_branch.patch_embed.mel_conv2d.weight"] = torch.zeros(1)
    torch.save(clap, tmp_path / "fused.pt")
    with pytest.raises(ModelError, match="feature fusion"):
        clap_audio_encoder(tmp_path / "fused.pt")
