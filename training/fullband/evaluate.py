"""``audioldm-train fullband-evaluate``: held-out recordings, and what was made of their low band.

The distance of sets is that of log-spectral statistics (:func:`measures.spectral_statistics`),
no trained embedding. Onsets and tones are synthesised, so that the truth is known.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.fullband.bank import FullbandBank, FullbandClip
from training.fullband.measures import (
    compare,
    frechet,
    low_snr_db,
    mean_cosine,
    spectral_statistics,
)
from training.fullband.probes import harmonic_share, onset_probe
from training.fullband.systems import System, as_model_would, systems

__all__ = ["evaluate"]

logger = logging.getLogger(__name__)

HOT_DB: Final = 6.0
ROWS: Final = (
    ("lsd_all", "LSD, all"),
    ("lsd_8_16", "LSD, 8-16 kHz"),
    ("lsd_16_20", "LSD, 16-20 kHz"),
    ("level_8_12", "level error 8-12 kHz, dB"),
    ("level_12_16", "level error 12-16 kHz, dB"),
    ("level_16_20", "level error 16-20 kHz, dB"),
    ("hot", "clips more than 6 dB too hot"),
    ("low_snr_db", "SNR below 7 kHz, dB"),
    ("frechet", "Frechet distance of statistics"),
    ("cosine", "cosine of statistics"),
    ("onset_ms", "onset of the upper band, ms"),
    ("pre_echo_db", "pre-echo 5 ms before, dB"),
    ("harmonic_share", "energy on the harmonic grid, 8-12 kHz"),
)


def evaluate(model: Path, cache: Path, out: Path) -> dict[str, dict[str, float]]:
    """Measure all systems on the held-out clips of ``cache``; writes two reports to ``out``."""
    bank = FullbandBank(cache)
    report = {}
    for name, system in systems(model).items():
        report[name] = _measured(bank, bank.held_out, system)
        logger.info("%s: %s", name, report[name])
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    (out / "report.md").write_text(_markdown(report), "utf-8")
    return report


def _measured(
    bank: FullbandBank, clips: Sequence[FullbandClip], system: System
) -> dict[str, float]:
    rows: list[dict[str, float]] = []
    ours, theirs = [], []
    for clip in clips:
        real = bank.sound(clip).mean(axis=0)
        made = system(as_model_would(real))[: len(real)]
        made = np.pad(made, (0, len(real) - len(made)))
        found = compare(made, real, clip.wall_hz)
        rows.append(found | {"low_snr_db": low_snr_db(made, real)})
        ours.append(spectral_statistics(made))
        theirs.append(spectral_statistics(real))
    sets: Any = np.array(ours), np.array(theirs)
    distances = {"frechet": frechet(*sets), "cosine": mean_cosine(*sets)}
    return _summary(rows) | distances | onset_probe(system) | harmonic_share(system)


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of distances, medians of level errors, the share of clips that are too hot."""
    found = {}
    for name in sorted({name for row in rows for name in row}):
        values = [row[name] for row in rows if name in row]
        if name == "excess_8_16":
            found["hot"] = float(np.mean(np.array(values) > HOT_DB))
        else:
            middle = np.mean if name.startswith("lsd") else np.median
            found[name] = float(middle(values))
    return found


def _markdown(report: dict[str, dict[str, float]]) -> str:
    lines = ["| measure | " + " | ".join(report) + " |", "|---" * (len(report) + 1) + "|"]
    for name, label in ROWS:
        values = [f"{found[name]:.3f}" for found in report.values() if name in found]
        lines.append(f"| {label} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"
