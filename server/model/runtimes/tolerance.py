"""How far a graph in bfloat16 is from itself in float32, measured once and kept.

A model is measured on the machine that renders with it. What is kept is beside its compiled graphs.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["TOLERANCE_DB", "is_tolerable", "probe", "snr_db"]

log = logging.getLogger("audioldm.models")

TOLERANCE_DB: Final = {"unet": 15.0, "vae_decoder": 25.0, "vocoder": 25.0}
"""Least signal-to-noise ratio of a graph's output. AudioLDM-S with random weights has 21, 34 and
38 dB, and a take of 20 steps 28 dB (docs/performance.md)."""
_FRAMES: Final = 32
"""Length of the input where the graph takes any."""
_TIMESTEP: Final = 500.0
_KEPT: Final = "bf16.json"


def is_tolerable(name: str, folder: Path | None, measured_db: Callable[[], float]) -> bool:
    """Whether a graph's output in bfloat16 is within its tolerance.

    Args:
        name: the graph's.
        folder: where the ratio is kept; None: nowhere.
        measured_db: measures the ratio where it is not kept.
    """
    kept = _read(folder)
    if name not in kept:
        kept[name] = measured_db()
        with contextlib.suppress(OSError):
            if folder is not None:
                (folder / _KEPT).write_bytes(msgspec.json.encode(kept))
    is_enough = kept[name] >= TOLERANCE_DB.get(name, max(TOLERANCE_DB.values()))
    log.info("%s in bfloat16: %.1f dB, %s", name, kept[name], "used" if is_enough else "refused")
    return is_enough


def probe(inputs: Mapping[str, Sequence[int]]) -> dict[str, npt.NDArray[Any]]:
    """Noise of unit variance in every input but the time step; ``inputs`` has their lengths."""
    random = np.random.default_rng(0)
    made = {}
    for name, shape in inputs.items():
        lengths = [_FRAMES if n < 0 and axis else abs(n) for axis, n in enumerate(shape)]
        made[name] = random.standard_normal(lengths, np.float32)
    if "timestep" in made:
        made["timestep"][:] = _TIMESTEP
    return made


def snr_db(wanted: npt.NDArray[Any], got: npt.NDArray[Any]) -> float:
    """Signal-to-noise ratio in dB; very low where it is no number."""
    noise = float(np.sum(np.square(got - wanted, dtype=np.float64)))
    signal = float(np.sum(np.square(wanted, dtype=np.float64)))
    if not np.isfinite(noise) or not signal:
        return -999.0
    return round(10.0 * float(np.log10(signal / max(noise, signal * 1e-20))), 1)


def _read(folder: Path | None) -> dict[str, float]:
    if folder is None:
        return {}
    try:
        return msgspec.json.decode((folder / _KEPT).read_bytes(), type=dict[str, float])
    except (OSError, msgspec.DecodeError):
        return {}
