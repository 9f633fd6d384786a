"""The questions about a GPU, the cheapest first; each is asked in a process of its own.

    python -m benchmarks.gpu.questions NAME ANSWERS.json [--device cuda]

What is known is written at once, so that a time limit or a crash takes only the rest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.gpu.graphs import VARIANTS, Inputs, Variant, inputs_of, milliseconds, relative_error
from benchmarks.machine import describe_machine
from server.model.manifest import Manifest

__all__ = ["QUESTIONS", "Asked"]

BUILT_IN: Final = Path("models/tiny")
STEPS: Final = 20
SIZES: Final = {"one take": (2, 256), "16 takes": (32, 256)}
"""Rows and latent frames of a guided unet call, for sounds of 10.24 s."""


@dataclass
class Asked:
    """One question on one device; ``keep`` writes what is known."""

    answers_file: Path
    device: str = "cuda"
    cache: Path = Path("out/benchmarks")
    sizes: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(SIZES))
    variants: dict[str, Variant] = field(default_factory=lambda: dict(VARIANTS))
    answers: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, answer: Any) -> None:
        """Print and write one answer."""
        self.answers[name] = answer
        print(f"  {name}: {answer}", flush=True)
        self.answers_file.write_text(json.dumps(self.answers, indent=1), encoding="utf-8")

    def tried(self, name: str, work: Callable[[], Any]) -> None:
        """Keep what ``work`` returns, or why it failed."""
        try:
            self.keep(name, work())
        except Exception as error:
            self.keep(name, {"failed": str(error).splitlines()[0][:300]})

    def large_model(self) -> Path:
        """AudioLDM-S with random weights in float16, made once."""
        from benchmarks.peers.against_diffusers import model_pair

        return model_pair(self.cache, "s", "fp16")[0]


def machine(asked: Asked) -> None:
    """The card, its driver and the wheels."""
    asked.keep("machine", describe_machine())
    query = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    asked.tried("card", lambda: subprocess.check_output(query, text=True).strip())


def floors(asked: Asked) -> None:
    """What a card can do at most: products of matrices, and starting one kernel."""
    from benchmarks.gpu.products import empty_run_ms, product_tflops

    asked.tried("one kernel, ms", lambda: empty_run_ms(asked.device))
    for kind in ("float16", "float32"):
        asked.tried(f"product in {kind}, TFLOP/s", partial(product_tflops, asked.device, kind))


def parity_of_the_built_in(asked: Asked) -> None:
    """The built-in model's graphs against the CPU's."""
    _parity(asked, BUILT_IN, 2, 128)


def takes_of_the_built_in(asked: Asked) -> None:
    """Whole takes of the built-in model: seconds, and how far they are from the CPU's."""
    from server.render.pipeline import Pipeline
    from server.requests.request import TextToAudio

    request = TextToAudio(prompt="low hum", seed=1, audio_length_in_s=5.0)
    expected = Pipeline(BUILT_IN, "cpu").render(request)[0].waveform.samples
    pipeline = Pipeline(BUILT_IN, asked.device)
    result = pipeline.render(request)[0].waveform.samples
    asked.keep("relative error of a take", relative_error(result, expected))
    asked.keep("a take of 5 s, ms", milliseconds(lambda: pipeline.render(request)))


def variants_of_the_built_in(asked: Asked) -> None:
    """Ways to run the built-in model's graphs."""
    _variants(asked, BUILT_IN)


def parity_in_float16(asked: Asked) -> None:
    """The graphs of AudioLDM-S in float16 against the CPU's."""
    _parity(asked, asked.large_model(), 2, 128)


def variants_in_float16(asked: Asked) -> None:
    """Ways to run AudioLDM-S, and the least time that its multiplications need."""
    _variants(asked, asked.large_model())
    asked.tried("GFLOP of a clip of 10.24 s, 20 steps", _gflop)


def against_diffusers(asked: Asked) -> None:
    """Whole clips in float16, beside diffusers'."""
    from benchmarks.peers import against_diffusers as peer

    for takes in (1, 16):
        flags = [f"--device={asked.device}", "--seconds=10.24", f"--takes={takes}", "--runs=2"]
        flags.append(f"--cache={asked.cache}")
        asked.tried(f"{takes} takes", partial(peer.main, flags))


def tensorrt(asked: Asked) -> None:
    """TensorRT, whose engines take minutes to build."""
    asked.device = asked.device.replace("cuda", "tensorrt")
    asked.variants = {"TensorRT": Variant()}
    asked.sizes = {"one take": asked.sizes["one take"]}
    _variants(asked, asked.large_model())


QUESTIONS: Final[dict[str, Callable[[Asked], None]]] = {
    question.__name__: question
    for question in (
        machine,
        floors,
        parity_of_the_built_in,
        takes_of_the_built_in,
        parity_in_float16,
        against_diffusers,
        variants_in_float16,
        variants_of_the_built_in,
        tensorrt,
    )
}
"""The cheapest first; what needs AudioLDM-S exports it once."""


def _parity(asked: Asked, folder: Path, rows: int, frames: int) -> None:
    manifest = Manifest.load(folder)
    for name in ("unet", "vae_decoder", "vocoder"):
        path = folder / f"{name}.onnx"
        given = inputs_of(path, manifest, rows, frames)
        asked.tried(f"{name}, {rows} x {frames}", partial(_error, path, asked.device, given))


def _error(path: Path, device: str, given: Inputs) -> dict[str, Any]:
    expected = Variant().session(path, "cpu").run(None, given)[0]
    # The third run is the first that replays what was recorded.
    session = VARIANTS["as the product"].session(path, device)
    results = [session.run(None, given)[0] for _ in range(3)]
    return {
        "relative error": max(relative_error(result, expected) for result in results),
        "finite": all(bool(np.isfinite(result).all()) for result in results),
    }


def _variants(asked: Asked, folder: Path) -> None:
    manifest = Manifest.load(folder)
    for name in ("unet", "vae_decoder", "vocoder"):
        path = folder / f"{name}.onnx"
        for size, (rows, frames) in asked.sizes.items():
            given = inputs_of(path, manifest, rows if name == "unet" else rows // 2, frames)
            for kind, variant in asked.variants.items():
                timed = partial(_timed, variant, path, asked.device, given)
                asked.tried(f"{name}, {size}, {kind}, ms", timed)


def _timed(variant: Variant, path: Path, device: str, given: Inputs) -> dict[str, float]:
    begin = time.perf_counter()
    session = variant.session(path, device)
    loaded_ms = round(1000 * (time.perf_counter() - begin))
    return {"load": loaded_ms, **milliseconds(lambda: session.run(None, given), 1.0)}


def _gflop() -> dict[str, float]:
    from benchmarks.peers.floor import gflop_by_stage

    return {name: round(work) for name, work in gflop_by_stage("s", 10.24, STEPS).items()}


def main() -> None:
    """Ask one question."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    QUESTIONS[options.question](Asked(options.answers, options.device))


if __name__ == "__main__":
    main()
