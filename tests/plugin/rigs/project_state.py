"""States of the plug-in, as a host would have saved them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
from talking import Samples


def noise(frames: int, channels: int = 2, seed: int = 1) -> Samples:
    """Samples of shape [channels, frames] that no two places share."""
    random = np.random.default_rng(seed)
    return random.normal(0, 0.1, (channels, frames)).astype(np.float32)


def write(path: Path, samples: Samples, rate: int = 48000, subtype: str = "FLOAT") -> Path:
    """A WAV file of `samples` [channels, frames]."""
    sf.write(path, samples.T, rate, subtype=subtype, format="WAV")
    return path


def take(
    number: int, path: Path, *, anchor: int = 0, rate: float = 48000, source: str = "rendered",
    fields: Mapping[str, object] | None = None, seed: int = 5,
) -> str:  # fmt: skip
    """The lines of one take."""
    lines = [
        f"take {number}", f"source {source}", f"path {path}", f"anchor {anchor} {rate}", "kept 0",
    ]  # fmt: skip
    if source == "rendered":
        lines += [f"seed {seed}", "score -2", "silent 0", "kind text", "words rain"]
        for name, value in (fields or {}).items():
            kind = "i" if isinstance(value, int) else "f" if isinstance(value, float) else "s"
            lines.append(f"field {name} {kind} {value}")
    return "\n".join(lines) + "\n"


def project(*takes: str, prompt: str = "rain") -> str:
    """A project's text."""
    return f"audioldm-project 1\nprompt {prompt}\nplacement 0 48000\n" + "".join(takes)


def clap_state(text: str, **parameters: float) -> bytes:
    """What DPF's CLAP wrapper saves for it."""
    words = ["__dpf_state_begin__", "project", text, "__dpf_state_end__"]
    words += ["__dpf_parameters_begin__"]
    for symbol, value in parameters.items():
        words += [symbol, str(value)]
    words += ["__dpf_parameters_end__", ""]
    return "\0".join(words).encode()


def find_exact(recording: npt.NDArray[np.float32], part: npt.NDArray[np.float32]) -> int:
    """Where `part` is in `recording` to the bit, both of one channel; -1: nowhere."""
    for start in np.flatnonzero(recording == part[0]):
        if np.array_equal(recording[start : start + len(part)], part):
            return int(start)
    return -1
