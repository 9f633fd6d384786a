"""Click to track in Ardour: ``python -m benchmarks.ardour`` (Linux, as root, after `make clients`).

Ardour's own window on an invisible screen (tests/daw/ardour/rig.py), the built-in model, four
seconds selected where there is no region. A click is the script's action as Ardour's OSC surface
triggers it; the time ends when the script does, with the region on its new track. What the
script's ``audioldm-osc`` took of it (start, render, answer) is given apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from server.audio.waveform import Waveform
from server.config import built_in_model

RIG = Path(__file__).parents[1] / "tests" / "daw" / "ardour" / "rig.py"


def click(folder: Path, model: Path, clicks: int) -> list[dict[str, float]]:
    """Seconds of each click, whole and in part."""
    silence = np.zeros((96000, 2), np.float32)
    (folder / "source.wav").write_bytes(Waveform(silence, 48000).encode("wav32f"))
    command = ("unshare", "-n", sys.executable, str(RIG), str(folder), str(model), str(clicks))
    subprocess.run(command, check=True, stdout=sys.stderr)
    return list(json.loads((folder / "clicks.json").read_text()))


def main() -> None:
    """Print one measurement as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clicks", type=int, default=21, help="the first one is left out")
    parser.add_argument("--model", type=Path, default=built_in_model())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first, *measured = click(Path(folder), options.model, options.clicks)
    result: dict[str, object] = {"clicks": len(measured)}
    for name in first:
        p50, p99 = np.percentile([each[name] for each in measured], [50, 99])
        result[f"{name}, s"] = {"first": first[name], "p50": p50, "p99": p99}
    machine = describe_machine() | {"load average": str(os.getloadavg())}
    print(json.dumps({**result, "machine": machine}, indent=2))


if __name__ == "__main__":
    main()
