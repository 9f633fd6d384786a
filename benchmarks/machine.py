"""Description of the machine that a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from server.model.runtimes.cpu import cpu_flags

__all__ = ["describe_machine", "kind_of_cpu"]

PACKAGES = (
    "audioldm-daw",
    "onnxruntime-gpu",
    "onnxruntime",
    "openvino",
    "numpy",
    "torch",
    "diffusers",
)

_FLAGS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
"""Best first."""


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


def kind_of_cpu() -> str:
    """The best instructions of the processor among those that decide how quick we are."""
    flags = cpu_flags()
    return next((flag for flag in _FLAGS if flag in flags), platform.machine())


def _processor() -> str:
    """The processor's name and the vector instructions that matter to us."""
    flags = [flag for flag in _FLAGS if flag in cpu_flags()]
    name = _cpu_info().get("model name", platform.processor() or platform.machine())
    return f"{name} ({' '.join(flags)})" if flags else name


def _cpu_info() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in lines}
