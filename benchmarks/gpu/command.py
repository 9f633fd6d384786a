"""``python -m benchmarks gpu``: everything that a GPU is to be asked, within eight minutes.

The cheapest question comes first. Each has a process of its own, so that one that hangs or crashes
leaves the others. ``benchmarks/gpu.json`` has what is known at any moment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.questions import QUESTIONS
from benchmarks.gpu.summary import summary
from server.model.session import has_cuda_driver

__all__ = ["main"]

REPORT = Path(__file__).parents[1] / "gpu.json"

MOST_S = 200.0
"""For one question."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, print, and keep the answers."""
    parser = argparse.ArgumentParser(prog="benchmarks gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try it")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--json", type=Path, default=REPORT)
    options = parser.parse_args(arguments)
    if options.device != "cpu" and not has_cuda_driver():
        print("no GPU: there is no NVIDIA driver here")
        return 0
    until = time.monotonic() + 60 * options.minutes
    report: dict[str, Any] = {}
    for name in options.questions:
        left_s = until - time.monotonic()
        report[name] = ask(name, options.device, min(left_s, MOST_S))
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("\n".join(summary(report)))
    return 0


def ask(name: str, device: str, most_s: float) -> dict[str, Any]:
    """The answers to one question, as far as they came; ``failed`` says why there are no more."""
    if most_s < 1:
        return {"failed": "the time was over before"}
    print(name, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        command = (sys.executable, "-m", "benchmarks.gpu.questions", name, str(answers))
        try:
            done = subprocess.run((*command, f"--device={device}"), timeout=most_s, check=False)
            failed = f"exit status {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            failed = "the time was over"
        known = json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else {}
    return {**known, **({"failed": failed} if failed else {})}
