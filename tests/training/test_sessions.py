"""Training for some minutes on a lent machine: shards, the probe, and a dry run on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import models
from server.errors import ModelError
from server.model.manifest import Manifest
from training.export import export_run
from training.folder import load_folder
from training.loop import TrainingStage
from training.sessions import probe
from training.sessions.__main__ import main, pack, unpack
from training.sessions.base import SETTINGS
from training.sessions.probe import Pace, fastest
from training.sessions.session import Session, SessionPlan
from training.sessions.shards import read_shards, write_shards
from training.settings import load_settings
from training.stages import Run

pytestmark = pytest.mark.integration

BUILT_IN = Path(models.__path__[0]) / "tiny"


def test_files_come_back_from_shards_of_limited_size(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    contents = {"a/large.bin": np.random.default_rng(0).bytes(50_000), "small.txt": b"few"}
    paths = {}
    for number, (name, content) in enumerate(contents.items()):
        paths[name] = made / str(number)
        paths[name].write_bytes(content)
    shards = write_shards(paths, tmp_path / "shards", 16_000)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "shards").glob("*.tar"))]
    assert len(shards) == len(sizes) >= 4
    assert max(sizes) <= 16_000
    read_shards(tmp_path / "shards", tmp_path / "back")
    for name, content in contents.items():
        assert (tmp_path / "back" / name).read_bytes() == content


def test_a_damaged_or_missing_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(40_000))
    write_shards({"file": tmp_path / "file"}, tmp_path / "shards", 16_000)
    second = tmp_path / "shards" / "shard-001.tar"
    second.write_bytes(b"short")
    with pytest.raises(ModelError, match=r"shard-001\.tar is damaged: 5 bytes, not the 16000"):
        read_shards(tmp_path / "shards", tmp_path / "back")
    with pytest.raises(ModelError, match=r"shards\.json is missing"):
        read_shards(tmp_path / "empty", tmp_path / "back")


def test_sounds_are_packed_with_their_manifest(sounds: Path, tmp_path: Path) -> None:
    assert pack(sounds, tmp_path / "shards", 100_000) > 1
    read_shards(tmp_path / "shards", tmp_path / "back")
    manifest = (tmp_path / "back" / "manifest.jsonl").read_bytes()
    assert manifest == (sounds / "manifest.jsonl").read_bytes()


class Quick(TrainingStage):
    """A stage without networks whose steps take no time."""

    device, networks, batch = torch.device("cpu"), nn.ModuleDict(), 1

    def train_step(self, generator: torch.Generator, step: int) -> dict[str, float]:
        return {}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {}


def test_the_probe_takes_a_larger_batch_only_while_it_gains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = {64: 10.0, 128: 8.0, 256: 4.0, 512: 100.0}  # batches a second
    monkeypatch.setattr(probe, "throughput", lambda stage, seconds: rates[stage.batch])
    assert fastest(Quick(), [64, 128, 256, 512], 1.0) == Pace(128, 1024.0)


def test_the_probe_ends_where_the_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def throughput(stage: TrainingStage, seconds: float) -> float:
        if stage.batch > 64:
            raise torch.OutOfMemoryError
        return 1.0

    monkeypatch.setattr(probe, "throughput", throughput)
    assert fastest(Quick(), [64, 128], 1.0).batch == 64
    with pytest.raises(torch.OutOfMemoryError, match="batch of 128"):
        fastest(Quick(), [128], 1.0)


def test_steps_fill_the_time_with_a_reserve() -> None:
    assert Pace(100, 1000.0).steps(60.0) == 540
    assert Pace(100, 1.0).steps(0.0) == 2


def test_throughput_counts_batches() -> None:
    assert probe.throughput(Quick(), 0.01) > 100


def test_a_session_without_shards_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(BUILT_IN), "--shards", str(tmp_path), "--minutes", "1"]
    assert main([*command, "--run", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 1
    assert "holds no shards" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("enough", "width"), [(0.0, 64), (1e12, 256)])
def test_a_dry_run_gives_a_model_folder(
    enough: float, width: int, sounds: Path, tmp_path: Path
) -> None:
    """From shards to a session of some seconds, to its pieces, to a model folder."""
    shards, away, pieces = tmp_path / "shards", tmp_path / "away", tmp_path / "pieces"
    pack(sounds, shards)
    read_shards(shards, away / "sounds")
    plan = SessionPlan(
        minutes=0.5, probe_s=1.0, batches=(2, 4), wider=64, enough=enough, shard_bytes=2**20
    )
    session = Session(plan, BUILT_IN, away, pieces, torch.device("cpu"))
    measures = session.train(away / "sounds")
    assert all(np.isfinite(value) for stage in measures.values() for value in stage.values())
    largest = max(path.stat().st_size for path in pieces.rglob("*.tar"))
    assert largest <= 2**20
    home = tmp_path / "home"
    assert unpack(BUILT_IN, pieces, home) == ["ldm", "adversarial", "listener"]
    settings = load_settings(str(home / SETTINGS))
    assert settings.ldm.width == width
    (home / "cache").symlink_to(away / "cache")
    run = Run(settings, home, torch.device("cpu"))
    run.embed_captions()
    export_run(run, sounds, tmp_path / "model")
    Manifest.load(tmp_path / "model").verify(tmp_path / "model")
    if width == 256:  # it went on from the model's weights
        trained, before = (load_folder(path)[2].unet for path in (tmp_path / "model", BUILT_IN))
        first, second = (next(iter(one.state_dict().values())) for one in (trained, before))
        assert torch.nn.functional.cosine_similarity(first.flatten(), second.flatten(), 0) > 0.9
