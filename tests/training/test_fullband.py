"""The stage fullband for a few steps: resumed, with its control, exported and measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from server.errors import InvalidRequest
from server.fullband.analysis import BAND_EDGES_HZ, NUM_BANDS, NUM_FEATURES, RATE
from server.fullband.upper_band import UpperBand
from training.cli import main
from training.fullband.averaging import averaged_with, turned
from training.fullband.bank import FullbandBank, prepare_fullband
from training.fullband.made_sounds import make_sounds
from training.fullband.measures import compare, low_snr_db
from training.fullband.network import UpperBandNetwork
from training.fullband.settings import FullbandSettings, build_stage, load_fullband_settings
from training.fullband.systems import as_model_would, folded, resampled
from training.loop import Fit, fit, load_ema

pytestmark = pytest.mark.integration

SMALL = FullbandSettings(
    width=16, batch=2, frames=96, critic_frames=32, critic_width=4, adversarial_from=2, bf16=False
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty recordings of hiss and clicks, a few with a wall."""
    folder = tmp_path_factory.mktemp("fullband")
    lines = []
    for number in range(40):
        generator = np.random.default_rng(number)
        time = np.arange(RATE) / RATE
        sound = generator.standard_normal(RATE) * np.exp(-time * (number % 5) * 4) * 0.1
        soundfile.write(folder / f"{number}.wav", sound, RATE)
        lines.append({"id": f"s{number}", "file": f"{number}.wav", "group": f"g{number}",
                      "licence": "CC0-1.0", "source": "here", "attribution": "",
                      "wall_hz": 16_000 if number % 4 == 0 else None})  # fmt: skip
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return folder


@pytest.fixture(scope="module")
def cache(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    prepare_fullband([sounds], folder)
    return folder


def trained(cache: Path, folder: Path, steps: int, settings: FullbandSettings = SMALL) -> object:
    stage = build_stage(settings, cache, torch.device("cpu"))
    fit(stage, Fit(steps=steps, warmup=1, evaluate_every=2, checkpoint_every=1), folder)
    return stage


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_ema(UpperBandNetwork(SMALL.width), folder).state_dict()


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(cache: Path, tmp_path: Path) -> None:
    trained(cache, tmp_path / "whole", 4)
    trained(cache, tmp_path / "killed", 2)
    trained(cache, tmp_path / "killed", 4)
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    for name, value in whole.items():
        torch.testing.assert_close(killed[name], value, msg=name)
    curve = (tmp_path / "whole" / "curve.csv").read_text().splitlines()
    assert curve[0].startswith("step,")
    assert "held_out_distance_db" in curve[0]


def test_the_control_learns_no_texture(cache: Path, tmp_path: Path) -> None:
    import msgspec

    stages = {
        name: trained(
            cache, tmp_path / name, 4, msgspec.structs.replace(SMALL, control=name == "b")
        )
        for name in ("a", "b")
    }
    begun = build_stage(SMALL, cache, torch.device("cpu")).model.texture.state_dict()
    moved = {
        name: any(
            (begun[key] != value).any() for key, value in stage.model.texture.state_dict().items()
        )  # type: ignore[attr-defined]
        for name, stage in stages.items()
    }
    assert moved == {"a": True, "b": False}


def test_the_command_trains_exports_and_measures(sounds: Path, tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(
        "width: 192\nbatch: 1\nframes: 64\ncritic_frames: 16\ncritic_width: 4\n"
        "adversarial_from: 1\nbf16: false\nschedule: {steps: 2, evaluate_every: 2}\n"
    )
    common = ["--sounds", str(sounds), "--run", str(tmp_path / "run")]
    assert main(["fullband", *common, "--config", str(config), "--threads", "1"]) == 0
    assert main(["fullband-export", *common, "-o", str(tmp_path / "air")]) == 0
    upper_band = UpperBand(tmp_path / "air", threads=1)
    power = upper_band.log_power(np.random.default_rng(0).standard_normal(9600).astype("f4"))
    assert power.shape[1] == NUM_BANDS
    assert "here" in (tmp_path / "air" / "CREDITS.md").read_text()
    air, out = str(tmp_path / "air"), tmp_path / "report"
    assert main(["fullband-evaluate", air, *common, "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert list(report) == ["resampling", "folding", "air"]
    assert report["resampling"]["level_8_12"] > 20.0 > report["folding"]["level_8_12"]
    assert "16-20 kHz" in (out / "report.md").read_text()


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("widht: 3")
    with pytest.raises(InvalidRequest, match="widht"):
        load_fullband_settings(str(path))


def test_made_sounds_are_a_folder_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.fullband.made_sounds.NUM_TONES", 3)
    make_sounds(tmp_path / "made")
    prepare_fullband([tmp_path / "made"], tmp_path / "cache")
    bank = FullbandBank(tmp_path / "cache")
    assert len(bank.clips) == 3
    assert all(np.isfinite(bank.sound(clip)).all() for clip in bank.clips)


def test_measures_of_the_same_sound_are_perfect_and_of_a_dull_one_are_not() -> None:
    real = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    same = compare(real, real, 24_000.0)
    assert set(same.values()) == {0.0}
    dull = resampled(as_model_would(real))[: len(real)]
    worse, mirrored = (
        compare(dull, real, 24_000.0),
        compare(folded(as_model_would(real))[: len(real)], real, 24_000.0),
    )
    assert worse["lsd_8_16"] > 2.0 * mirrored["lsd_8_16"]
    assert low_snr_db(dull, real) > 40.0
    assert "lsd_16_20" not in compare(real, real, 17_000.0)


def test_a_mean_of_checkpoints_keeps_the_overtones_and_gains_are_decibels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old, new = UpperBandNetwork(16).eval(), UpperBandNetwork(16).eval()
    torch.save({"average": old.state_dict()}, tmp_path / "old.pt")
    features = torch.randn(1, 8, NUM_FEATURES)
    half = (old.envelope.bias + new.envelope.bias) / 2.0
    texture = {name: values.clone() for name, values in new.texture.state_dict().items()}
    averaged_with(new, [tmp_path / "old.pt"])
    torch.testing.assert_close(new.envelope.bias, half)
    assert all(torch.equal(values, texture[n]) for n, values in new.texture.state_dict().items())
    before = new(features)[0]
    gain = (turned(new, (-0.5, -1.0, 2.0))(features)[0] - before) * (10.0 / np.log(10.0))
    centres = (BAND_EDGES_HZ[:-1] + BAND_EDGES_HZ[1:]) / 2.0
    wanted = np.where(centres < 12_000, -0.5, np.where(centres < 16_000, -1.0, 2.0))
    np.testing.assert_allclose(gain[0].detach(), np.tile(wanted, (8, 1)), atol=1e-3)
