"""AudioLDM-S, whole clip: this project's engine against diffusers' AudioLDMPipeline.

Same random weights, same sampler, steps and guidance, in alternating processes. The ratio is
ours / theirs, pair by pair, so that a machine that slows down slows both. On a CPU ours is what
``--device auto`` gives and theirs is float32; both are also measured in the other precision, in
seconds of processor time. With ``--device cuda`` both are float16, and of the stages only the total
counts, because a GPU works on while diffusers goes to the next stage.
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
KEYS = ("total", "wall", *STAGES, "peak_mb")
NAMES = {
    "ours": "ours",
    "ours_fp32": "ours, fp32",
    "theirs": "diffusers",
    "theirs_bf16": "diffusers, bf16",
}
WARM_UP_STEPS = 2


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

    def render(self, steps: int) -> dict[str, float]:
        """Seconds by stage, and the peak memory in MB."""
        assert self._process.stdin is not None
        print(steps, file=self._process.stdin, flush=True)
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


def sides(folders: tuple[Path, Path], settings: argparse.Namespace) -> dict[str, Contender]:
    """All that render in turns; ours is what ``--device auto`` gives."""
    shared = ("takes", "threads", "seconds", "steps", "guidance", "sampler")
    flags = [f"--{name}={getattr(settings, name)}" for name in shared]
    wanted = (
        {"ours": ("cuda", "fp16"), "theirs": ("cuda", "fp16")}
        if settings.device == "cuda"
        else {
            "ours": ("auto", "fp32"),
            "ours_fp32": ("cpu", "fp32"),
            "theirs": ("cpu", "fp32"),
            "theirs_bf16": ("cpu", "bf16"),
        }
    )
    return {
        name: Contender(
            name.partition("_")[0],
            folders[name.startswith("theirs")],
            [*flags, f"--device={device}", f"--precision={precision}"],
        )
        for name, (device, precision) in wanted.items()
    }


def compare(cache: Path, settings: argparse.Namespace) -> dict[str, Any]:
    """Alternate the sides and report medians and the median ratios."""
    precision = "fp32" if settings.device == "cpu" else "fp16"
    contenders = sides(model_pair(cache, settings.variant, precision), settings)
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(settings.runs + 1):
        steps = settings.steps if number else WARM_UP_STEPS
        measured = {name: side.render(steps) for name, side in contenders.items()}
        if number:
            rounds.append(measured)
    for side in contenders.values():
        side.close()
    return _summary(rounds)


def _summary(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    def median(side: str, key: str) -> float:
        return round(statistics.median(each[side][key] for each in rounds), 3)

    def ratio(key: str, ours: str = "ours", theirs: str = "theirs") -> float:
        return round(statistics.median(one[ours][key] / one[theirs][key] for one in rounds), 3)

    ratios = {key: ratio(key) for key in KEYS}
    if "theirs_bf16" in rounds[0]:
        ratios["fp32_total"] = ratio("total", "ours_fp32")
        ratios["bf16_total"] = ratio("total", theirs="theirs_bf16")
        ratios["fp32_peak_mb"] = ratio("peak_mb", "ours_fp32")
    medians = {side: {key: median(side, key) for key in KEYS} for side in rounds[0]}
    return {**medians, "ratio": ratios, "runs": len(rounds)}


def table(result: dict[str, Any]) -> str:
    """The summary for a person."""
    names = [name for name in NAMES if name in result]
    lines = [f"{'':14}" + "".join(f"{NAMES[name]:>16}" for name in names) + f"{'ratio':>8}"]
    for key in KEYS:
        values = "".join(f"{result[name][key]:16.2f}" for name in names)
        unit = "MB" if key == "peak_mb" else "s"
        lines.append(f"{key:14}{values}{result['ratio'][key]:8.2f} {unit}")
    more = [name for name in result["ratio"] if name not in KEYS]
    return "\n".join([*lines, *(f"{name:14}{result['ratio'][name]:8.2f}" for name in more)])


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
