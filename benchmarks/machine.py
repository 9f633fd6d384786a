"""Description of the machine that a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

__all__ = ["describe_machine"]

PACKAGES = ("audioldm-daw", "onnxruntime-gpu", "onnxruntime", "numpy", "torch", "diffusers")


def describe_machine() -> dict[str, str]:
    """Processor, cores, system and the versions that matter."""
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": str(cores),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **versions,
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """The processor's name and the vector instructions that matter to us."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(
        (part.strip() for part in line.split(":", 1)) for line in text.splitlines() if ":" in line
    )
    wanted = ("amx_tile", "avx512f", "avx2")
    vector = next((flag for flag in wanted if flag in fields.get("flags", "")), "")
    return f"{fields.get('model name', platform.machine())} {vector}".strip()
