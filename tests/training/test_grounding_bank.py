"""The bank of grounded takes as it is chosen and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import models
from server.model.grounding import GroundingBank
from server.model.known_sounds import KnownSounds
from server.model.manifest import GROUNDING_FILE, Manifest
from training.sounds.bank import SoundBank
from training.sounds.folder import prepare, read_manifest
from training.sounds.grounding import write_grounding

pytestmark = pytest.mark.integration

BUILT_IN = Path(models.__path__[0]) / "tiny"


class Means(nn.Module):
    """Latents [B, 2, T / 4, 2] that are means of the log-mel."""

    def forward(self, mels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        means = mels.reshape(len(mels), -1, 4, 2, 32).mean((2, 4))[:, None]
        return means.repeat(1, 2, 1, 1), means


@pytest.fixture(scope="module")
def bank(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> SoundBank:
    cache = tmp_path_factory.mktemp("cache")
    prepare(sounds, cache)
    return SoundBank(cache, torch.device("cpu"))


def test_the_bank_holds_free_training_sounds_up_to_its_size(
    bank: SoundBank, sounds: Path, tmp_path: Path
) -> None:
    entries = [entry | {"licence": "CC0-1.0"} for entry in read_manifest(sounds)]
    for entry in entries[::2]:
        entry["licence"] = "CC-BY-4.0"
    total = 150
    count = write_grounding(bank, Means(), entries, tmp_path / GROUNDING_FILE, total)
    written = GroundingBank.of(tmp_path)
    assert written is not None
    known = [clip for clip in bank.clips if clip.variant == 0 and not clip.held_out]
    free = {str(e.get("id", e["file"])) for e in entries if e["licence"] == "CC0-1.0"}
    assert 1 <= count == len(written.rows)
    assert all(known[row].id in free for row in written.rows)
    frames = [written.sound(place).latent.shape[1] for place in range(count)]
    assert sum(frames) <= total
    first = bank.clips.index(known[int(written.rows[0])])
    one = torch.tensor([first])
    mels = bank.crop_mels(one, torch.zeros_like(one), 512)
    right = Means()(mels)[0][0, :, : frames[0]].numpy()
    np.testing.assert_allclose(written.sound(0).latent, right, atol=0.1)


def test_without_a_free_sound_there_is_no_bank(
    bank: SoundBank, sounds: Path, tmp_path: Path
) -> None:
    entries = [entry | {"licence": "CC-BY-4.0"} for entry in read_manifest(sounds)]
    assert write_grounding(bank, Means(), entries, tmp_path / GROUNDING_FILE) == 0
    assert not (tmp_path / GROUNDING_FILE).exists()


def test_the_built_in_bank_is_small_credited_and_near_its_prompts() -> None:
    assert Manifest.load(BUILT_IN).files[GROUNDING_FILE].bytes <= 6_000_000
    known = KnownSounds.load(BUILT_IN)
    assert known is not None
    assert known.bank is not None
    rows = known.bank.rows
    assert len(rows) == len(set(rows.tolist())) > 300
    assert rows.max() < len(known.captions)
    for place in range(0, len(rows), 50):
        sound = known.bank.sound(place)
        assert "CC0-1.0" in sound.credit
        assert sound.credit.startswith(known.captions[int(rows[place])])
        assert np.abs(sound.latent).max() < 20.0
    assert sum(path.stat().st_size for path in BUILT_IN.iterdir()) <= 36_000_000
