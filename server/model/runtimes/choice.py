"""Which runtime computes a model's graphs, and why.

OpenVINO computes in bfloat16 where the CPU can, in 0.6 of the time of float32 or less. ONNX Runtime
computes everything else: the towers, whose embeddings must be the same on all machines, and models
too small to gain (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.errors import InvalidRequest
from server.extras import install_extra
from server.model.manifest import Manifest
from server.model.runtimes.cpu import cpu_flags
from server.model.runtimes.openvino import OpenVino, is_installed
from server.model.session import Device, Graph, Provider, providers_for

__all__ = ["Runtime", "bf16_instructions", "load_in_turn", "runtime_for"]

_GRAPHS: Final = ("unet", "vae_decoder", "vocoder")
"""What a take spends its time in."""
_FOR_TEXT: Final = ("text_encoder", "unet", "vae_decoder", "vocoder", "audio_encoder")
"""The graphs of a take from a prompt."""
_LEAST_BYTES: Final = 100_000_000
"""A unet with less than this gains nothing from OpenVINO."""
_BF16_FLAGS: Final = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}


@dataclass(frozen=True)
class Runtime:
    """What computes the graphs of one model."""

    providers: Sequence[Provider]
    """ONNX Runtime's, for the graphs that OpenVINO does not compute."""
    reason: str
    """Why this one, in words."""
    cache: Path | None = None
    """Folder of the model's compiled and optimised graphs; None: none are kept."""
    openvino: OpenVino | None = None
    openvino_graphs: tuple[str, ...] = ()

    @property
    def on_cpu(self) -> bool:
        """True where no other device takes part."""
        return len(self.providers) == 1 and (self.openvino or OpenVino()).device == "CPU"

    @property
    def name(self) -> str:
        """The runtime, its device and the precision."""
        if self.openvino is not None:
            return f"OpenVINO {self.openvino.device} {self.openvino.precision}"
        names = (p if isinstance(p, str) else p[0] for p in self.providers)
        return f"ONNX Runtime {', '.join(names)}"

    def graphs(self, folder: Path, manifest: Manifest, threads: int) -> dict[str, Graph]:
        """The graphs of a model folder, by name."""
        return {
            name: Graph(
                folder / f"{name}.onnx",
                self.providers,
                threads,
                self.openvino if name in self.openvino_graphs else None,
                cache=self.cache,
            )
            for name in manifest.components
        }


def runtime_for(device: Device, manifest: Manifest, cache: Path | None = None) -> Runtime:
    """The runtime of a model on ``device``; ``cache`` is for compiled graphs.

    Raises:
        InvalidRequest: an unknown device, or one whose runtime is not installed.
    """
    kind, _, part = device.partition(":")
    if cache is not None:
        cache /= manifest.digest[:16]
    if kind == "openvino":
        return _on_openvino(part or "cpu", manifest, cache)
    providers = providers_for(device)
    if kind != "auto":
        return Runtime(providers, f"the device is {device}", cache)
    if len(providers) > 1:
        return Runtime(providers, "there is an NVIDIA driver", cache)
    if refusal := _no_gain(manifest):
        return Runtime(providers, refusal, cache)
    return _on_openvino("cpu", manifest, cache)


def load_in_turn(
    graphs: Mapping[str, Graph], manifest: Manifest, on_loading: Callable[[int, int], None]
) -> None:
    """Load what a take from a prompt needs; ``on_loading`` is called with bytes done and in all."""
    sizes = {name: manifest.graph_bytes(name) for name in _FOR_TEXT}
    done = 0
    for name, size in sizes.items():
        on_loading(done, sum(sizes.values()))
        graphs[name].load()
        done += size
    on_loading(done, done)


def bf16_instructions() -> str:
    """The CPU's instructions for products in bfloat16, in words; empty where nothing is known."""
    flags = cpu_flags()
    return ", ".join(name for flag, name in _BF16_FLAGS.items() if flag in flags)


def _no_gain(manifest: Manifest) -> str:
    """Why ``auto`` leaves a model on ONNX Runtime; empty: it does not."""
    if manifest.graph_bytes("unet") < _LEAST_BYTES or manifest.precision != "fp32":
        return "a small model, or one of reduced weights, gains nothing from OpenVINO"
    if not bf16_instructions():
        return "the CPU has neither AMX nor AVX512-BF16"
    if not is_installed():
        return f"OpenVINO would be faster; {install_extra('openvino')}"
    return ""


def _on_openvino(part: str, manifest: Manifest, cache: Path | None) -> Runtime:
    if not is_installed():
        raise InvalidRequest(
            f"device openvino: the package openvino is not installed; {install_extra('openvino')}"
        )
    flags = bf16_instructions()
    if part == "cpu":
        precision = "bf16" if flags else "fp32"
        reason = f"the CPU has {flags}" if flags else "the CPU has no bfloat16"
    else:
        precision, reason = "fp16", f"the device is openvino:{part}"
    # The phases of a vocoder with cells are optional inputs, which OpenVINO does not have.
    graphs = tuple(g for g in _GRAPHS if g != "vocoder" or not manifest.vocoder_cells)
    where = OpenVino(part.upper(), precision, cache)
    return Runtime(providers_for("cpu"), reason, cache, where, graphs)
