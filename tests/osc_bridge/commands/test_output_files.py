"""What ``-o`` may write: never a file that the job reads, unless it is asked to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import QUICK, daw

from server.audio.waveform import Waveform

pytestmark = pytest.mark.integration


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "Glöckchen.wav"
    tone = 0.3 * np.sin(np.arange(24000) * 0.05)
    path.write_bytes(Waveform.mono(tone.astype(np.float32), 48000).encode("wav16"))
    return path


def test_the_output_is_not_the_clip(tiny_folder: Path, clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    (tmp_path / "link.wav").symlink_to(clip)
    job = ("transfer", str(clip), "-p", "rain", "--model", str(tiny_folder), "--steps", "2")
    for output in (str(clip), clip.as_uri(), str(tmp_path / "." / "link.wav")):
        code, _, errors = daw(*job, "-o", output)
        assert (code, "add --overwrite" in errors) == (1, True)
    several = clip.with_name("Glöckchen-2.wav")
    shutil.copy(clip, several)
    code, _, errors = daw("transfer", str(several), *job[2:], "-o", str(clip), "--takes", "2")
    assert (code, several.name in errors) == (1, True)
    code, _, errors = daw(*job[:4], "--audio-prompt", str(several), *job[4:], "-o", str(several))
    assert code == 1
    assert clip.read_bytes() == several.read_bytes() == before
    assert daw(*job, "-o", str(clip), "--overwrite")[0] == 0
    assert clip.read_bytes() != before


def test_nor_the_clip_that_the_take_was_made_from(
    tiny_folder: Path, clip: Path, tmp_path: Path
) -> None:
    model, take = ("--model", str(tiny_folder)), tmp_path / "take.wav"
    made = daw("transfer", str(clip), "-p", "rain", *model, "--steps", "2", "-o", str(take))
    assert made[0] == 0, made
    code, _, errors = daw("vary", str(take), *model, "-o", str(clip))
    assert (code, "add --overwrite" in errors) == (1, True)
    assert daw("vary", str(take), *model, "-o", str(tmp_path / "varied.wav"))[0] == 0


def test_a_missed_note_is_said_beside_the_take(tiny_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "hum.wav"
    model = ("--model", str(tiny_folder), "--seed", "1", *QUICK)
    code, text, errors = daw("render", "hum A4", "-o", str(output), *model)
    assert (code, errors.startswith(f"{output}: "), "A4" in errors) == (0, True, True)
    code, text, errors = daw("render", "hum", "--key", "C minor", "-o", str(output), *model)
    assert (code, "C minor" in errors) == (0, True)
    code, text, _ = daw("render", "hum A4", "-o", str(output), "--json", *model)
    assert "A4" in json.loads(text)["takes"][0]["warnings"][0]
    assert daw("render", "hum", "-o", str(output), *model)[2] == ""


def test_json_describes_takes_without_their_embeddings(tiny_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "太鼓.wav"
    words = ("render", "太鼓", "-o", output.as_uri(), "--model", str(tiny_folder), "--json", *QUICK)
    code, text, errors = daw(*words)
    assert code == 0, errors
    (take,) = json.loads(text)["takes"]
    assert take["path"] == str(output)
    assert "embedding" not in take
    assert len(text) < 5000


def test_a_damaged_model_renders_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    model, output = tmp_path / "model", tmp_path / "hum.wav"
    shutil.copytree(tiny_folder, model)
    unet = bytearray((model / "unet.onnx").read_bytes())
    unet[len(unet) // 2] ^= 1
    (model / "unet.onnx").write_bytes(unet)
    code, _, errors = daw("render", "hum", "-o", str(output), "--model", str(model), *QUICK)
    assert code != 0
    assert "unet.onnx is damaged" in errors
    assert not output.exists()
