"""The report of a soak: what happened, and whether each claim held."""

from __future__ import annotations

from typing import Final

import msgspec

from benchmarks.verdicts import Verdict

__all__ = ["GAP_FRAMES", "Memory", "Report", "verdicts"]


GAP_FRAMES: Final = 480
"""Frames of digital silence that count as a gap."""
MAX_GROWTH: Final = (1.2, 60.0)
"""Largest growth of memory since the first quarter of the run: factor, and MB on top."""
MAX_SLOPE_MB_H: Final = 30.0
"""Largest growth of the program's memory, in runs of ``_SLOPE_MINUTES`` and more."""
_SLOPE_MINUTES: Final = 10.0


class Memory(msgspec.Struct, frozen=True):
    """Private memory of the three processes in MB."""

    program: float
    audio: float
    worker: float


class Report(msgspec.Struct, kw_only=True):
    """Counts and measures of one soak."""

    minutes: float = 0.0
    actions: dict[str, int] = {}
    jobs: int = 0
    done: int = 0
    failed_with_message: int = 0
    lost: list[str] = []
    gaps_s: list[float] = []
    """Silences in the output while a device was open."""
    outages_s: list[float] = []
    """Times from the loss of the device until it plays again."""
    engine_restarts: int = 0
    under_runs: int = 0
    glitches: int = 0
    late: int = 0
    recombined: int = 0
    memory_early: Memory | None = None
    memory_late: Memory | None = None
    slope_mb_h: float = 0.0
    """Growth of the program's memory after the first quarter, by least squares."""
    verdicts: list[Verdict] = []
    problems: list[str] = []


def verdicts(report: Report) -> list[Verdict]:
    """Whether each claim held in ``report``."""
    early, late = report.memory_early, report.memory_late
    assert early is not None
    assert late is not None
    grown: list[str] = []
    for name in Memory.__struct_fields__:
        before, after = getattr(early, name), getattr(late, name)
        if before and after > before * MAX_GROWTH[0] + MAX_GROWTH[1]:  # 0: just starting again
            grown.append(name)
    steep = report.minutes >= _SLOPE_MINUTES and report.slope_mb_h > MAX_SLOPE_MB_H
    return [
        Verdict(
            f"no gap in the audio beyond the crossfade ({GAP_FRAMES} silent frames)",
            not report.gaps_s,
            f"{len(report.gaps_s)} gaps, longest {max(report.gaps_s, default=0.0)} s; "
            f"{len(report.outages_s)} times without a device, longest "
            f"{max(report.outages_s, default=0.0)} s",
        ),
        Verdict(
            "memory flat",
            not grown and not steep,
            f"program {early.program:.0f} to {late.program:.0f} MB, "
            f"slope {report.slope_mb_h:+.1f} MB an hour; audio {early.audio:.0f} to "
            f"{late.audio:.0f} MB, worker {early.worker:.0f} to {late.worker:.0f} MB",
        ),
        Verdict(
            "no job lost without a fail message",
            not report.lost,
            f"{len(report.lost)} of {report.jobs + len(report.lost)} lost; {report.done} done, "
            f"{report.failed_with_message} failed or cancelled with a message",
        ),
        Verdict("no block raised an error", not report.glitches, f"{report.glitches} blocks"),
    ]
