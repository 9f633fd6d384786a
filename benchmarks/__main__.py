"""``make bench``: every comparison in one go, within ten minutes; says so where there is no GPU.

Results go to ``out/benchmarks/results.json``. ``benchmarks/ratios.json`` keeps the ratios that were
reached on each kind of CPU (``--keep`` writes it). One that has grown by more than a quarter is
reported, and ``--check`` exits 1. ``python -m benchmarks gpu`` asks a GPU:
:mod:`benchmarks.gpu.command`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import built_in
from benchmarks.gpu import command as gpu
from benchmarks.machine import describe_machine, kind_of_cpu
from benchmarks.peers import against_diffusers
from server.model.session import has_cuda_driver

KEPT = Path(__file__).with_name("ratios.json")
TOLERANCE = 1.25
RESULTS = Path("out/benchmarks/results.json")


def worse_than_kept(ratios: dict[str, float]) -> list[str]:
    """One sentence for each ratio that has grown beyond the tolerance."""
    kept = _kept().get(kind_of_cpu(), {})
    return [
        f"{name}: {ratios[name]:.2f} of diffusers', was {kept[name]:.2f}"
        for name in kept
        if name in ratios and ratios[name] > kept[name] * TOLERANCE
    ]


def _kept() -> dict[str, dict[str, float]]:
    ratios: dict[str, dict[str, float]] = json.loads(KEPT.read_text(encoding="utf-8"))
    return ratios


def main() -> int:
    """Measure, print, keep, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 where a ratio has grown")
    parser.add_argument("--keep", action="store_true", help="keep these ratios from now on")
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in describe_machine().items()))
    results = {
        "machine": describe_machine(),
        "built_in": built_in.main([]),
        "against_diffusers": against_diffusers.main([f"--runs={options.runs}"]),
        "on_a_gpu": [
            against_diffusers.main(["--device=cuda", "--seconds=10.24", f"--takes={takes}"])
            for takes in ((1, 16) if has_cuda_driver() else (1,))
        ],
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    ratios = results["against_diffusers"]["ratio"]
    worse = worse_than_kept(ratios)
    if options.keep:
        kept = {**_kept(), kind_of_cpu(): ratios}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    for sentence in worse:
        print(f"grown: {sentence}")
    return int(options.check and bool(worse))


if __name__ == "__main__":
    sys.exit(gpu.main(sys.argv[2:]) if sys.argv[1:2] == ["gpu"] else main())
