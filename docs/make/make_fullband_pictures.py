"""Draw ``docs/fullband/*.png``: ``python docs/make/make_fullband_pictures.py SOUNDS``.

Each picture shows a recording that was cut at 8 kHz, the same with its upper band predicted, and
the recording itself, from 0 to 20 kHz over 70 dB.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import soxr
from job_pictures import draw_all

from server.audio.waveform import Waveform
from server.fullband.upper_band import built_in_upper_band
from training.fullband.systems import as_model_would, systems
from training.sounds.folder import held_out, read_manifest

FOLDER: Final = Path(__file__).parents[1] / "fullband"
RATE: Final = 48_000
SECONDS: Final = 3.0
NEEDED_HZ: Final = 19_000.0


def main() -> None:
    """Draw a held-out recording of each category."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("categories", nargs="+")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    widened = systems(built_in_upper_band())
    for entry in _chosen(options.sounds, options.categories):
        real = _read(options.sounds / entry["file"])
        low = as_model_would(real)
        made = [widened["resampling"](low), widened["air"](low), real]
        sounds = [Waveform.mono(np.ascontiguousarray(s), RATE) for s in made]
        draw_all(sounds, FOLDER / f"{entry['category']}.png")
        print(entry["id"], entry["captions"][:1])


def _chosen(sounds: Path, categories: list[str]) -> list[dict[str, Any]]:
    """The longest held-out recording with a full band of each category."""
    found: dict[str, dict[str, Any]] = {}
    for entry in read_manifest(sounds):
        wall = entry.get("wall_hz") or RATE / 2
        group = str(entry.get("group", entry["file"]))
        if wall < NEEDED_HZ or not held_out(group) or entry["category"] not in categories:
            continue
        best = found.get(entry["category"])
        if best is None or entry["duration_s"] > best["duration_s"]:
            found[entry["category"]] = entry
    return list(found.values())


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE, quality="VHQ")
    return mono[: round(SECONDS * RATE)]


if __name__ == "__main__":
    main()
