"""Estimate of the memory that a model needs, before it is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from server.model.manifest import Manifest

__all__ = ["GIB", "default_budget", "machine_memory", "memory_in_place", "memory_needed", "shown"]

GIB: Final = 2**30
_SHARE: Final = 0.6
"""Share of the machine's memory for models where no budget is set; the DAW needs the rest."""
_WORKER_BYTES: Final = 80 * 2**20
"""A worker process without weights. Measured: 77 MiB resident with graphs of 141 KiB (Linux
x86-64, ONNX Runtime 1.31 on the CPU)."""
_RENDER_BYTES: Final = 112 * 2**20
"""Memory of a render on top. Measured: models/tiny, 4 takes of 10.24 s together."""
_FACTORS: Final = {"int8-weights": 7.0, "fp16-weights": 4.4}
"""Resident bytes for each byte of the graphs. Measured: models/tiny, 27.2 MiB of graphs whose
int8 weights become float32 at load, 265 MiB resident when it is loaded. For fp16 twice the
factor of float32, not measured."""
_FACTOR: Final = 2.2
"""The same for float32. Measured: 24 convolutions of 640 channels, 337 MiB, 739 MiB resident;
matrix products take less (1.1)."""
_IN_PLACE: Final = 1.2
"""The same for weights in a checkpoint's files, which are mapped. Measured: AudioLDM-S, 1714 MiB of
weights, 1813 MiB resident with all graphs loaded and after a unet call."""
_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def memory_needed(manifest: Manifest) -> int:
    """Bytes that one worker with this model needs."""
    in_place = sum(manifest.weights_bytes.values())
    graphs = sum(manifest.graph_bytes(name) for name in manifest.components) - in_place
    factor = _FACTORS.get(manifest.precision, _FACTOR)
    return round(graphs * factor) + memory_in_place(in_place)


def memory_in_place(weights_bytes: int) -> int:
    """Bytes that one worker needs with weights that stay in a checkpoint's files."""
    return round(_WORKER_BYTES + _RENDER_BYTES + weights_bytes * _IN_PLACE)


def default_budget() -> int:
    """Bytes that all models may take together where no budget is set."""
    return round(_SHARE * machine_memory())


def machine_memory() -> int:
    """Bytes of memory that this machine (or this container) has."""
    installed = _installed()
    try:
        return min(installed, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return installed


def shown(size: int) -> str:
    """``size`` bytes in MiB or GiB, as text.

    >>> shown(400 * 2**20), shown(5 * 2**29)
    ('400 MiB', '2.5 GiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"


def _installed() -> int:
    if sys.platform == "win32":
        return _installed_on_windows()
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _installed_on_windows() -> int:
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    ctypes.WinDLL("kernel32").GetPhysicallyInstalledSystemMemory(  # type: ignore[attr-defined]
        ctypes.byref(kilobytes)
    )
    return int(kilobytes.value) * 1024
