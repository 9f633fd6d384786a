"""Clips and settings for a training of a few steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import soundfile

from training.settings import Settings

__all__ = ["STAGES", "few_steps", "make_clips"]

SAMPLE_RATE: Final = 16000
KINDS: Final = {
    "kick": ("a deep kick drum", "drum_oneshot"),
    "rain": ("rain falling", "noise"),
    "tone": ("a sine wave playing an A4 note", "synth"),
    "click": ("a short click", "ui"),
}


def sound(kind: str, number: int) -> np.ndarray:
    generator = np.random.default_rng(number)
    time = np.arange(int(SAMPLE_RATE * (0.4 + 0.3 * (number % 3)))) / SAMPLE_RATE
    made = {
        "kick": np.sin(60 * np.exp(-time * 9) * time * 6.28) * np.exp(-time * 9),
        "rain": 0.2 * generator.standard_normal(len(time)),
        "tone": 0.5 * np.sin(2 * np.pi * 440.0 * time),
        "click": generator.standard_normal(len(time)) * np.exp(-time * 200),
    }
    return made[kind].astype(np.float32)


def make_clips(folder: Path) -> Path:
    """Write 24 clips of four kinds with their manifest; returns ``folder``."""
    lines = []
    for number in range(24):
        kind = list(KINDS)[number % 4]
        caption, category = KINDS[kind]
        name = f"{kind}_{number}.wav"
        soundfile.write(folder / name, sound(kind, number), SAMPLE_RATE)
        entry = {"file": name, "captions": [caption], "category": category, "tags": [kind]}
        entry |= {"group": f"{kind}{number}", "licence": "CC0-1.0", "source": "made by a test"}
        lines.append(json.dumps(entry | ({"midi": 69} if kind == "tone" else {})))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder


def few_steps(settings: Settings, steps: int = 4) -> Settings:
    """``settings`` with short schedules and narrow networks."""
    replace = msgspec.structs.replace
    schedule = replace(
        settings.ldm.schedule, steps=steps, evaluate_every=2, checkpoint_every=2, warmup=1
    )
    return replace(
        settings,
        pitch_variants=1,
        text=replace(settings.text, vocabulary=600, phrases=8, batch=4, schedule=schedule),
        clap=replace(settings.clap, batch=8, schedule=schedule),
        vae=replace(
            settings.vae, width=8, batch=6, frames=64, adversarial_from=2, schedule=schedule
        ),
        vocoder=replace(
            settings.vocoder,
            width=16,
            depth=1,
            batch=2,
            frames=16,
            adversarial_from=2,
            discriminator_width=4,
            schedule=schedule,
        ),
        partials=replace(
            settings.partials, width=16, depth=1, batch=4, frames=32, schedule=schedule
        ),
        low_notes=replace(
            settings.low_notes, width=16, depth=1, batch=4, frames=32, schedule=schedule
        ),
        ldm=replace(
            settings.ldm, width=32, depth=2, heads=2, batch=4, lengths=(64,), schedule=schedule
        ),
        adversarial=replace(settings.adversarial, batch=2, lengths=(64,), schedule=schedule),
        grain=replace(settings.grain, batch=2, lengths=(64,), schedule=schedule),
        listener=replace(settings.listener, batch=8, schedule=schedule),
    )


STAGES: Final = (
    "text",
    "clap",
    "vae",
    "vocoder",
    "partials",
    "low_notes",
    "ldm",
    "adversarial",
    "grain",
    "listener",
)
