"""How the stage is trained."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
import yaml

from server.errors import InvalidRequest
from training.fullband.bank import FullbandBank
from training.fullband.network import UpperBandNetwork
from training.fullband.stage import FullbandStage
from training.settings import Schedule

__all__ = ["FullbandSettings", "build_stage", "load_fullband_settings"]


class FullbandSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The stage ``fullband``, which needs none of the others."""

    seed: int = 0
    width: int = 192
    batch: int = 8
    frames: int = 512
    learning_rate: float = 1e-3
    adversarial_from: int = 9_000
    critic_frames: int = 128
    critic_width: int = 16
    bf16: bool = True
    """Networks in bfloat16: a half faster where the CPU multiplies it (AVX512-BF16, AMX)."""
    control: bool = False
    schedule: Schedule = Schedule(
        steps=12_000, warmup=200, decay=0.5, evaluate_every=500, checkpoint_every=250
    )


def load_fullband_settings(path: str) -> FullbandSettings:
    """The settings in a YAML file.

    Raises:
        InvalidRequest: no such file, or a field that is unknown or of the wrong kind.
    """
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
        return msgspec.convert(values, FullbandSettings)
    except (OSError, msgspec.ValidationError, yaml.YAMLError) as error:
        raise InvalidRequest(f"--config {path}: {error}") from error


def build_stage(settings: FullbandSettings, cache: Path, device: torch.device) -> FullbandStage:
    """The stage, ready for its first step."""
    torch.manual_seed(settings.seed)
    return FullbandStage(
        FullbandBank(cache),
        UpperBandNetwork(settings.width),
        device,
        batch=settings.batch,
        frames=settings.frames,
        learning_rate=settings.learning_rate,
        adversarial_from=settings.adversarial_from,
        critic_frames=settings.critic_frames,
        critic_width=settings.critic_width,
        bf16=settings.bf16,
        control=settings.control,
    )
