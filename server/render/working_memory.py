"""Estimate of the memory that a job needs, before its first step.

The estimate is proportional to the latent frames in a unet call or a decoded chunk, and to the
size of the weights. The factors are measured (docs/performance.md, Scale) and at most two times
too high. Takes are independent, so that a job of many takes can be split. A job whose single
take does not fit is refused.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.errors import TooLarge
from server.model.manifest import Manifest

__all__ = ["FreeMemory", "MemoryNeed", "MemoryLimit", "free_memory"]

_UNET: Final = 0.00045
"""Bytes for each latent frame of a row and each byte of float32 weights. Measured: 0.00043 at 128
channels and 185 million weights, 0.00024 in models/tiny."""
_DECODE: Final = 0.009
"""The same for VAE decoder and vocoder together. Measured: 0.0047 and 0.0086."""
_LATENT_COPIES: Final = 10
"""Latents that a run holds at once: samples, noise, estimates, the kept part of a clip."""
_SOUND_COPIES: Final = 6
"""Float32 copies of one take while it is resampled, levelled and written. Measured: 3."""
_SHARE: Final = 0.9
"""Share of the free memory that a job may take."""
_FLOAT32_BYTES: Final = {"int8-weights": 4.0, "fp16-weights": 2.0, "fp16": 2.0}
"""Bytes in float32 for each byte of a graph's file."""


@dataclass(frozen=True)
class FreeMemory:
    """Free bytes of the machine, and of the GPU where the model runs on one."""

    machine: int
    card: int | None = None


@dataclass(frozen=True)
class MemoryNeed:
    """The size of one job."""

    takes: int
    channels: int
    frames: int
    """Latent frames of a take."""
    window: int
    """Latent frames of its longest window."""
    windows: int
    rows: int
    """Rows of a unet call for each window: 2 under guidance."""
    sample_rate: int
    """Sample rate of the delivered sound, in Hz."""


class MemoryLimit:
    """How many takes of a job fit into the memory of the device."""

    def __init__(self, manifest: Manifest, chunk: int) -> None:
        self._manifest = manifest
        self._chunk = chunk
        self._held = 0
        self._frames_a_second = manifest.sample_rate / manifest.samples_per_latent_frame
        weights = {
            name: manifest.graph_bytes(name) * _FLOAT32_BYTES.get(manifest.precision, 1.0)
            for name in ("unet", "vae_decoder", "vocoder")
        }
        self._unet = _UNET * weights["unet"]
        self._decode = _DECODE * (weights["vae_decoder"] + weights["vocoder"])

    def takes_at_once(self, need: MemoryNeed, frames_a_call: int, free: FreeMemory | None) -> int:
        """Number of takes to denoise together: as many as fill a unet call, if they fit.

        Raises:
            TooLarge: not even one take fits.
        """
        a_take = need.channels * need.windows * need.window * need.rows
        takes = max(1, min(need.takes, frames_a_call // a_take))
        if free is None:
            return takes
        while not self._fits(need, takes, frames_a_call, free):
            if takes == 1:
                raise TooLarge(self._refusal(need, frames_a_call, free))
            takes //= 2
        self._held = max(self._held, self._graphs(need, takes, frames_a_call))
        return takes

    def _fits(self, need: MemoryNeed, takes: int, frames_a_call: int, free: FreeMemory) -> bool:
        # ONNX Runtime keeps the memory of earlier jobs and uses it again.
        graphs = max(0, self._graphs(need, takes, frames_a_call) - self._held)
        arrays = self._arrays(need, takes)
        if free.card is None:
            return graphs + arrays <= _SHARE * free.machine
        return graphs <= _SHARE * free.card and arrays <= _SHARE * free.machine

    def _graphs(self, need: MemoryNeed, takes: int, frames_a_call: int) -> int:
        """Bytes of working memory of the graphs."""
        a_window = need.rows * need.window
        call = min(takes * need.channels * need.windows * a_window, max(frames_a_call, a_window))
        return round(self._unet * call + self._decode * min(need.frames, self._chunk))

    def _arrays(self, need: MemoryNeed, takes: int) -> int:
        """Bytes of latents and sounds; all takes of a job are held until they are ranked."""
        latent = self._manifest.latent
        a_take = need.channels * need.frames
        latents = _LATENT_COPIES * takes * a_take * latent.channels * latent.mel_bins
        samples = round(a_take / self._frames_a_second * need.sample_rate)
        return 4 * (latents + samples * (need.takes + _SOUND_COPIES))

    def _refusal(self, need: MemoryNeed, frames_a_call: int, free: FreeMemory) -> str:
        graphs, arrays = self._graphs(need, 1, frames_a_call), self._arrays(need, 1)
        card = "" if free.card is None else f" and {_mib(free.card)} on the card"
        seconds = need.frames / self._frames_a_second
        return (
            f"{need.takes} x {seconds:.0f} s need about {_mib(graphs)} for the model and "
            f"{_mib(arrays)} for the sound even one take at a time, and {_mib(free.machine)}{card} "
            "are free; ask for fewer takes or a shorter sound"
        )


def free_memory(on_cpu: bool) -> FreeMemory | None:
    """What is free now; None where this system does not say (anything but Linux)."""
    machine = _free_on_linux()
    if machine is None:
        return None
    return FreeMemory(machine, None if on_cpu else _free_on_card())


def _free_on_linux() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration, ValueError):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        counted = (group / "memory.stat").read_text().split()
        # Files that were read count as used until somebody needs the room.
        return min(free, limit - used + int(counted[counted.index("inactive_file") + 1]))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free


def _free_on_card() -> int | None:
    """Of the first card; ONNX Runtime does not tell."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        return int(answer.stdout.split()[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
