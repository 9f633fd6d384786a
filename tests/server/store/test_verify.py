"""``model verify``: what a model's graphs compute on this machine."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import msgspec
import pytest
from narrow_model import narrow_source

from server.checkpoints.golden import find_template, template_snr_db
from server.checkpoints.templates import Template, Templates, built_in_templates
from server.cli import main
from server.config import Config
from server.errors import ModelError
from server.model.manifest import Manifest
from server.model.session import providers_for
from server.store.installed import find_installed
from server.store.verify import GOLDEN_FILE, LEAST_DB, Checked, Verification

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
QUICK = ("text_encoder", "vae_decoder", "vocoder")


@pytest.fixture
def models(tiny_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_folder, tmp_path / "models" / "narrow")
    return tmp_path / "models"


def verify(models: Path) -> list[Checked]:
    config = Config(models_folder=str(models), threads=1)
    model = find_installed(config.model_folders, "narrow")
    return list(Verification(model, config, built_in_templates()).graphs())


def snr_db(template: Template, manifest: Manifest, scratch: Path) -> float:
    return template_snr_db(template, manifest, scratch, providers_for("cpu"), 1)


def test_outputs_are_kept_at_the_first_time_and_compared_afterwards(models: Path) -> None:
    first, again = verify(models), verify(models)
    assert {checked.own_db for checked in first} == {None}
    assert min(checked.own_db or 0.0 for checked in again) > 100
    assert {checked.by for checked in again} == {first[0].by}
    assert "CPUExecutionProvider" in first[0].by
    assert {checked.drawn_db for checked in again} == {None}, "it is no AudioLDM"


def test_what_was_kept_does_not_change_the_model(models: Path) -> None:
    before = Manifest.load(models / "narrow").digest
    verify(models)
    after = Manifest.load(models / "narrow")
    after.verify(models / "narrow")
    assert after.digest == before


def test_other_outputs_are_told(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(models)
    path = models / "narrow" / GOLDEN_FILE
    kept = json.loads(path.read_text())
    kept["unet"]["outputs"]["prediction"][0] *= 2.0
    path.write_text(json.dumps(kept))
    monkeypatch.setenv("AUDIOLDM_MODELS_FOLDER", str(models))
    assert main(["model", "verify", "narrow"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("!")] == [
        f"! unet gives something else than by {kept['unet']['by']}; if that one was wrong, "
        f"delete {path}"
    ]


def test_another_graph_is_kept_anew(models: Path) -> None:
    verify(models)
    path = models / "narrow" / GOLDEN_FILE
    kept = json.loads(path.read_text())
    kept["unet"]["files"] = "of another graph"
    path.write_text(json.dumps(kept))
    assert [checked.name for checked in verify(models) if checked.own_db is None] == ["unet"]
    assert {checked.own_db for checked in verify(models)} == {math.inf}


def test_a_damaged_file_of_outputs_is_named(models: Path) -> None:
    path = models / "narrow" / GOLDEN_FILE
    path.write_text("{")
    with pytest.raises(ModelError, match="delete it"):
        verify(models)


@pytest.mark.parametrize("precision", ["fp32", "fp16-weights", "int8-weights"])
def test_drawn_weights_give_what_torch_gives(
    precision: str, narrow_templates: Path, tmp_path: Path
) -> None:
    manifest = as_read(msgspec.structs.replace(narrow_source().manifest, precision=precision))
    for name in QUICK:
        template = find_template(manifest, Templates(narrow_templates), name)
        assert template is not None
        assert snr_db(template, manifest, tmp_path) > LEAST_DB[precision] + 10
    assert not list(tmp_path.iterdir())


def test_a_wrong_graph_is_far_from_torch(narrow_templates: Path, tmp_path: Path) -> None:
    """Here the activation at the end: the sign in place of the tangent."""
    manifest = as_read(narrow_source().manifest)
    template = find_template(manifest, Templates(narrow_templates), "vocoder")
    assert template is not None
    graph = template.graph.replace(b"\x22\x04Tanh", b"\x22\x04Sign")
    assert graph != template.graph
    wrong = msgspec.structs.replace(template, graph=graph)
    assert snr_db(wrong, manifest, tmp_path) < LEAST_DB["int8-weights"]


def as_read(manifest: Manifest) -> Manifest:
    """As it is read from its file."""
    return msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest)
