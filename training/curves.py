"""``curve.csv`` of a stage as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ["draw_curves"]


def draw_curves(folder: Path) -> Path:
    """Draw ``folder/curve.csv`` to ``folder/curve.png``, one panel a measure."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    with (folder / "curve.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in rows[0] if name not in {"step", "seconds"}]
    figure, panels = pyplot.subplots(len(names), sharex=True, figsize=(7, 1.8 * len(names)))
    steps = [float(row["step"]) for row in rows]
    for name, panel in zip(names, panels if len(names) > 1 else [panels], strict=True):
        panel.plot(steps, [float(row[name]) for row in rows], marker=".")
        panel.set_ylabel(name.replace("_", " "), fontsize=7)
        panel.grid(alpha=0.3)
    panel.set_xlabel("step")
    figure.tight_layout()
    figure.savefig(folder / "curve.png", dpi=100)
    pyplot.close(figure)
    return folder / "curve.png"
