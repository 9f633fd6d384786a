"""Cnn14 and VGGish have the published shapes, names and front ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from server.errors import ModelError
from training.evaluation.panns import Cnn14, load_cnn14
from training.evaluation.vggish import VGGish, load_vggish, vggish_examples

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cnn14() -> Cnn14:
    return Cnn14().eval()


def test_cnn14_has_the_published_parameters(cnn14: Cnn14) -> None:
    assert sum(weight.numel() for weight in cnn14.parameters()) == 80_753_615
    weights = cnn14.state_dict()
    assert weights["conv_block6.conv2.weight"].shape == (2048, 2048, 3, 3)
    assert weights["fc_audioset.weight"].shape == (527, 2048)
    assert weights["bn0.running_mean"].shape == (64,)


def test_cnn14_takes_any_length(cnn14: Cnn14) -> None:
    embedding, logits = cnn14.classify(np.zeros(100, np.float32))
    assert embedding.shape == (2048,)
    assert logits.shape == (527,)
    assert (embedding >= 0).all()


def test_cnn14_spectrogram_is_power_in_db(cnn14: Cnn14) -> None:
    time = torch.arange(16000) / 16000
    log_mel = cnn14.log_mel(torch.sin(2 * torch.pi * 1000.0 * time)[None])[0, 0]
    assert log_mel.shape == (101, 64)
    quieter = cnn14.log_mel(0.1 * torch.sin(2 * torch.pi * 1000.0 * time)[None])[0, 0]
    band = int(log_mel[50].argmax())
    assert float(log_mel[50, band] - quieter[50, band]) == pytest.approx(20.0, abs=1e-2)
    silence = cnn14.log_mel(torch.zeros(1, 16000))
    assert float(silence.max()) == pytest.approx(-100.0)


def test_published_file_is_read_without_its_front_end(cnn14: Cnn14, tmp_path: Path) -> None:
    path = tmp_path / "cnn14.pth"
    front_end = {"logmel_extractor.melW": torch.zeros(257, 64)}
    torch.save({"iteration": 1, "model": cnn14.state_dict() | front_end}, path)
    loaded = load_cnn14(path)
    path.unlink()  # 320 MB that pytest would keep
    noise = np.random.default_rng(0).normal(size=32000).astype(np.float32)
    np.testing.assert_array_equal(loaded.classify(noise)[1], cnn14.classify(noise)[1])


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="Cnn14_16k"):
        load_cnn14(path)
    with pytest.raises(ModelError, match="vggish"):
        load_vggish(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="cannot be read"):
        load_cnn14(path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_vggish(tmp_path / "missing.pth")


def test_vggish_has_the_published_parameters() -> None:
    model = VGGish().eval()
    assert sum(weight.numel() for weight in model.parameters()) == 72_141_184
    names = {name.rsplit(".", 1)[0] for name in model.state_dict()}
    convolutions = {f"features.{index}" for index in (0, 3, 6, 8, 11, 13)}
    assert names == convolutions | {f"embeddings.{index}" for index in (0, 2, 4)}
    embeddings = model.embed(np.random.default_rng(0).normal(size=40000))
    assert embeddings.shape == (2, 128)
    assert (embeddings < 0).any(), "the last ReLU is left out"


def test_vggish_examples() -> None:
    assert vggish_examples(np.zeros(100)).shape == (1, 96, 64)
    assert vggish_examples(np.zeros(163840)).shape == (10, 96, 64)
    np.testing.assert_allclose(vggish_examples(np.zeros(16000)), np.log(0.01))
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(16000) / 16000)
    loudest = vggish_examples(tone)[0].mean(axis=0).argmax()
    # 64 HTK mels from 125 to 7500 Hz: 1 kHz is 999.98 mel, between edges 185.1 and 2774.4
    assert loudest == round((999.98 - 185.1) / (2774.4 - 185.1) * 65) - 1
