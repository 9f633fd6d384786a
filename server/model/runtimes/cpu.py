"""What the processor can do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["cpu_flags"]

_CPU_INFO: Final = Path("/proc/cpuinfo")


def cpu_flags() -> tuple[str, ...]:
    """The names of its instruction sets, sorted; none where the system does not tell."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    line = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return tuple(sorted(line.partition(":")[2].split()))
