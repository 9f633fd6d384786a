"""AudioLDM-S, whole clip: this project's engine against diffusers' AudioLDMPipeline.

Same random weights, same sampler, steps and guidance, in two alternating processes. The ratio
is ours / theirs, pair by pair, so that a machine that slows down slows both. On a CPU both are
float32; with ``--device cuda`` both are float16, and of the stages only the total counts, because
a GPU works on while diffusers goes to the next stage.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from server.model.session import has_cuda_driver

STAGES = ("text_encoder", "unet", "vae_decoder", "vocoder")


class Contender:
    """One side, loaded and waiting."""

    def __init__(self, side: str, folder: Path, flags: list[str]) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "benchmarks.peers.contender", side, str(folder), *flags),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._answer() != "ready":
            raise SystemExit(f"{side} did not come up")

    def render(self) -> dict[str, float]:
        """Seconds by stage, and the peak memory in MB."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        measured: dict[str, float] = json.loads(self._answer())
        return measured

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def model_pair(cache: Path, variant: str, precision: str = "fp32") -> tuple[Path, Path]:
    """The same random weights as our model folder and as a diffusers folder, made once."""
    folder, peer = cache / f"{variant}-{precision}-onnx", cache / f"{variant}-diffusers"
    if not (folder / "manifest.json").exists():
        make = ("random", "--variant", variant, "--precision", precision, "-o", str(folder))
        make += () if peer.exists() else ("--also-diffusers", str(peer))
        subprocess.run((sys.executable, "-m", "onnx_export.cli", *make), check=True)
    return folder, peer


def compare(cache: Path, settings: argparse.Namespace) -> dict[str, Any]:
    """Alternate the two sides and report medians and the median ratio."""
    precision = "fp32" if settings.device == "cpu" else "fp16"
    folder, peer = model_pair(cache, settings.variant, precision)
    names = ("device", "threads", "takes", "seconds", "steps", "guidance", "sampler")
    flags = [f"--{name}={getattr(settings, name)}" for name in names]
    sides = {"ours": Contender("ours", folder, flags), "theirs": Contender("theirs", peer, flags)}
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(settings.runs + 1):
        measured = {name: side.render() for name, side in sides.items()}
        if number:  # the first round warms up
            rounds.append(measured)
    for side in sides.values():
        side.close()
    return _summary(rounds)


def _summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    def median(side: str, key: str) -> float:
        return round(statistics.median(each[side][key] for each in rounds), 3)

    keys = ("total", *STAGES, "peak_mb")
    ratios = {
        key: round(statistics.median(one["ours"][key] / one["theirs"][key] for one in rounds), 3)
        for key in keys
    }
    sides = {side: {key: median(side, key) for key in keys} for side in ("ours", "theirs")}
    return {**sides, "ratio": ratios, "runs": len(rounds)}


def table(result: dict[str, Any]) -> str:
    """The summary for a person."""
    lines = [f"{'':14}{'ours':>10}{'diffusers':>12}{'ratio':>8}"]
    for key in ("total", *STAGES, "peak_mb"):
        unit = "MB" if key == "peak_mb" else "s"
        ours, theirs = result["ours"][key], result["theirs"][key]
        lines.append(f"{key:14}{ours:10.2f}{theirs:12.2f}{result['ratio'][key]:8.2f} {unit}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run the comparison, print it, and return it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="s", choices=("s", "m", "l"))
    parser.add_argument("--seconds", type=float, default=5.12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument("--sampler", default="ddim", choices=("ddim", "dpmpp_2m"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--takes", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("out/benchmarks"))
    settings = parser.parse_args(arguments)
    if settings.device == "cuda" and not has_cuda_driver():
        print("no GPU: there is no NVIDIA driver here")
        return {}
    result = compare(settings.cache, settings)
    result["machine"] = describe_machine()
    print(f"AudioLDM-{settings.variant.upper()}, {settings.seconds} s, {settings.steps} steps,")
    print(f"guidance {settings.guidance}, {settings.sampler}, on {result['machine']['processor']}")
    print(table(result))
    return result


if __name__ == "__main__":
    main()
