"""``audioldm-export`` as a user types it: what it makes, and what it refuses in one sentence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from onnx_export.cli import main
from onnx_export.sources.open_source import SourceOptions, open_source
from onnx_export.sources.random_model import random_tokenizer
from server.model.manifest import Manifest

# Tracing takes seconds on a quiet machine and minutes on a busy one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

HEAVY = ("torch", "onnx", "diffusers", "transformers", "numpy", "onnxruntime")


@pytest.fixture
def tokenizer(narrow_folder: Path) -> list[str]:
    return ["--tokenizer", str(narrow_folder / "tokenizer.json")]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on stderr of a command that ends with 2."""
    assert main(arguments) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("audioldm-export: ")
    assert sentence.count("\n") == 1
    return sentence


@pytest.mark.parametrize("command", [[], ["verify"], ["quantise"], ["vocoder"], ["random"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys, onnx_export.cli as cli\n"
        f"try: cli.main({[*command, '--help']})\n"
        f"finally: sys.stderr.write(' '.join(set({HEAVY}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "usage: audioldm-export" in run.stdout
    assert run.stderr == ""


@pytest.mark.slow
def test_checkpoint_and_diffusers_folder_give_the_same_graphs(
    narrow_checkpoint: Path,
    narrow_diffusers: Path,
    tokenizer: list[str],
    tmp_path: Path,
) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    assert main([str(narrow_checkpoint), "-o", str(folders[0]), *tokenizer]) == 0
    assert main([str(narrow_diffusers), "-o", str(folders[1])]) == 0
    ours, theirs = (Manifest.load(folder) for folder in folders)
    assert ours.latent == theirs.latent
    for name in ours.files.keys() - {"tokenizer.json"}:
        assert ours.files[name].sha256 == theirs.files[name].sha256, name
    assert "EMA" in ours.source
    assert "NC" in ours.licence


@pytest.mark.slow
def test_verify_prints_a_table_and_sets_its_exit_code(
    narrow_folder: Path,
    narrow_checkpoint: Path,
    narrow_diffusers: Path,
    tokenizer: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    against = ["verify", str(narrow_folder), "--against"]
    assert main([*against, str(narrow_diffusers)]) == 0
    table = capsys.readouterr().out
    assert table.count("\n") == 15
    assert "above" not in table
    assert main([*against, str(narrow_checkpoint), *tokenizer, "--no-ema"]) == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if "above" in line]
    assert len(rows) == 2
    assert all(row.startswith("unet") for row in rows)


def test_diffusers_folder_runs_with_the_heads_of_its_config(narrow_diffusers: Path) -> None:
    as_configured = open_source(str(narrow_diffusers), SourceOptions())
    compatible = open_source(str(narrow_diffusers), SourceOptions(heads="diffusers"))
    assert as_configured.manifest.architecture["attention_heads"] == [1, 2, 3, 5]
    assert compatible.manifest.architecture["attention_heads"] == [8, 8, 8, 8]
    attention = compatible.network("unet").mid_block.attentions[0].transformer_blocks[0].attn1
    assert attention.heads == 8


def test_quantise_says_what_it_made(
    narrow_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quantise", str(narrow_folder), "-o", str(tmp_path / "small")]) == 0
    assert "narrow, int8-weights" in capsys.readouterr().out
    assert Manifest.load(tmp_path / "small").precision == "int8-weights"


def test_truncated_checkpoint(
    narrow_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / "half.ckpt"
    half.write_bytes(narrow_checkpoint.read_bytes()[: narrow_checkpoint.stat().st_size // 2])
    assert "truncated" in refused([str(half), "-o", str(tmp_path / "folder")], capsys)
    assert list(tmp_path.iterdir()) == [half]


def test_foreign_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "resnet.ckpt"
    torch.save({"state_dict": {"layer1.weight": torch.zeros(3)}}, foreign)
    sentence = refused([str(foreign), "-o", str(tmp_path / "folder")], capsys)
    assert "model.diffusion_model.film_emb.weight" in sentence
    assert list(tmp_path.iterdir()) == [foreign]


def test_file_that_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "notes.ckpt"
    text.write_text("this is not a checkpoint\n" * 50)
    assert "checkpoint" in refused([str(text), "-o", str(tmp_path / "folder")], capsys)


class _Runs:
    """Creates ``target`` when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


def test_pickled_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"w": torch.zeros(1)}, "x": _Runs(tmp_path / "ran")}, evil)
    sentence = refused([str(evil), "-o", str(tmp_path / "folder")], capsys)
    assert "--trust-pickle" in sentence
    assert not (tmp_path / "ran").exists()


def test_checkpoint_without_one_tensor(
    narrow_checkpoint: Path,
    tokenizer: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = torch.load(narrow_checkpoint, weights_only=True)
    del content["state_dict"]["cond_stage_model.model.text_projection.2.weight"]
    torch.save(content, tmp_path / "gap.ckpt")
    arguments = [str(tmp_path / "gap.ckpt"), "-o", str(tmp_path / "folder"), *tokenizer]
    assert "cond_stage_model.model.text_projection.2.weight" in refused(arguments, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["gap.ckpt"]


def test_tokenizer_of_another_size(
    narrow_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "tokenizer.json"
    random_tokenizer(700).save(str(other))
    arguments = [str(narrow_checkpoint), "-o", str(tmp_path / "f"), "--tokenizer", str(other)]
    assert "700 entries, but the text encoder has 600" in refused(arguments, capsys)


def test_diffusers_folder_without_audio_tower(
    narrow_diffusers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for entry in narrow_diffusers.iterdir():
        if entry.name != "audio_encoder":
            (bare / entry.name).symlink_to(entry)
    assert "--clap" in refused([str(bare), "-o", str(tmp_path / "folder")], capsys)
    whole = str(narrow_diffusers / "audio_encoder")
    source = open_source(str(bare), SourceOptions(clap=whole))
    assert source.network("audio_encoder").config.patch_embeds_hidden_size == 24


def test_other_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sd"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    sentence = refused([str(folder), "-o", str(tmp_path / "out")], capsys)
    assert "StableDiffusionPipeline, not an AudioLDMPipeline" in sentence


def test_incomplete_weights_are_an_error(
    narrow_diffusers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import load_file, save_file

    bare = tmp_path / "bare"
    (bare / "text_encoder").mkdir(parents=True)
    for entry in narrow_diffusers.iterdir():
        if entry.name != "text_encoder":
            (bare / entry.name).symlink_to(entry)
    text = narrow_diffusers / "text_encoder"
    (bare / "text_encoder" / "config.json").symlink_to(text / "config.json")
    tensors = load_file(text / "model.safetensors")
    del tensors["text_projection.linear2.weight"]
    save_file(tensors, bare / "text_encoder" / "model.safetensors", {"format": "pt"})
    sentence = refused([str(bare), "-o", str(tmp_path / "out")], capsys)
    assert "text_projection.linear2.weight" in sentence


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert "no such checkpoint" in refused([nowhere, "-o", str(tmp_path / "f")], capsys)


def test_half_precision_is_for_cuda(
    narrow_diffusers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(narrow_diffusers), "-o", str(tmp_path / "f"), "--precision", "fp16"]
    assert "fp16-weights" in refused([*arguments, "--flavour", "cpu"], capsys)


@pytest.mark.slow
def test_terminated_export_takes_its_folder_away(
    narrow_checkpoint: Path, tokenizer: list[str], tmp_path: Path
) -> None:
    arguments = [str(narrow_checkpoint), "-o", str(tmp_path / "folder"), *tokenizer]
    export = subprocess.Popen([sys.executable, "-m", "onnx_export.cli", *arguments])
    while not list(tmp_path.glob(".folder-*/new/*.onnx")):
        assert export.poll() is None
        time.sleep(0.05)
    export.send_signal(signal.SIGTERM)
    assert export.wait() == 143
    assert list(tmp_path.iterdir()) == []
