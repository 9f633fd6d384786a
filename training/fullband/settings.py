"""How the stage is trained."""

from __future__ import annotations

import msgspec

from training.settings import Schedule

__all__ = ["FullbandSettings"]


class FullbandSettings(msgspec.Struct, frozen=True, kw_only=True):
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
