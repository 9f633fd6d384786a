"""Graphs of a model folder on a device: sessions in variants, inputs, and how long a run takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.model.manifest import Manifest
from server.model.runtimes.provider_options import CUDA_GRAPH, OPTIONS, PROVIDERS, Provider
from server.model.runtimes.resident import Place, ResidentSession

__all__ = ["VARIANTS", "Variant", "inputs_of", "milliseconds", "relative_error"]

Inputs = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Variant:
    """One way to run a graph: options in place of those of the product, and buffers."""

    options: Mapping[str, str] = field(default_factory=dict)
    resident: bool = False
    records: bool = False

    def session(self, path: Path, device: str) -> Any:
        """The graph at ``path``, loaded."""
        import onnxruntime

        name, _, card = device.partition(":")
        session = onnxruntime.InferenceSession(path, _quiet(), providers=self._on(name, card))
        if PROVIDERS[name] not in session.get_providers():
            raise RuntimeError(f"{PROVIDERS[name]} did not come up; see the lines above")
        if not self.resident:
            return session
        return ResidentSession(session, Place(name, int(card or 0)), records=self.records)

    def _on(self, name: str, card: str) -> list[Provider]:
        if name == "cpu":
            return [PROVIDERS[name]]
        options = {**OPTIONS[name], **self.options, "device_id": card or "0"}
        options |= CUDA_GRAPH if self.records and name == "cuda" else {}
        return [(PROVIDERS[name], options), PROVIDERS["cpu"]]


_RECORDED: Final = {"resident": True, "records": True}
VARIANTS: Final = {
    "as the product": Variant(resident=True, records=True),
    "copied": Variant(),
    "buffers": Variant(resident=True),
    "exhaustive search": Variant({"cudnn_conv_algo_search": "EXHAUSTIVE"}, **_RECORDED),
    "channels last": Variant({"prefer_nhwc": "1"}, **_RECORDED),
    "1-D padded at the end": Variant({"cudnn_conv1d_pad_to_nc1d": "0"}, **_RECORDED),
    "fused bias": Variant({"fuse_conv_bias": "1"}, **_RECORDED),
    "no TF32": Variant({"use_tf32": "0"}, **_RECORDED),
}
"""What is tried for each graph."""


def inputs_of(path: Path, manifest: Manifest, rows: int, frames: int) -> Inputs:
    """Random inputs of the graph at ``path``, ``rows`` of ``frames`` latent frames."""
    import onnxruntime

    random = np.random.default_rng(0)
    session = onnxruntime.InferenceSession(path, _quiet(), providers=[PROVIDERS["cpu"]])
    drawn: Inputs = {}

    def length(axis: int | str) -> int:
        if isinstance(axis, int):
            return axis
        mels = manifest.latent.time_factor if "mel" in axis else 1
        return rows if axis == "batch" else frames * mels

    for put in session.get_inputs():
        shape = [length(axis) for axis in put.shape]
        kind = np.float16 if put.type == "tensor(float16)" else np.float32
        drawn[put.name] = random.standard_normal(shape).astype(kind)
        if put.name == "timestep":
            drawn[put.name] = np.full(shape, 500, kind)
    return drawn


def milliseconds(run: Callable[[], Any], most_s: float = 2.0) -> dict[str, float]:
    """Milliseconds of a run, after three that warm up; at least five, for ``most_s``."""
    first_s = time.perf_counter()
    run()
    first_ms = 1000 * (time.perf_counter() - first_s)
    for _ in range(2):
        run()
    taken: list[float] = []
    until = time.perf_counter() + most_s
    while len(taken) < 5 or (time.perf_counter() < until and len(taken) < 200):
        begin = time.perf_counter()
        run()
        taken.append(1000 * (time.perf_counter() - begin))
    found = {"first": first_ms, "least": min(taken), "median": statistics.median(taken)}
    return {name: round(value, 3) for name, value in found.items()}


def relative_error(result: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    """Size of the difference over that of ``expected``, in the L2 norm; 0 for two silences."""
    wide = expected.astype(np.float64)
    difference = float(np.linalg.norm(result.astype(np.float64) - wide))
    return difference / max(float(np.linalg.norm(wide)), 1e-30)


def _quiet() -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return settings
