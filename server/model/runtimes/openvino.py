"""ONNX graphs on OpenVINO: the only module that imports it.

A graph is compiled once for all shapes: graphs of fixed shape were not quicker
(docs/performance.md). NPUs take fixed shapes only, so there it is compiled for each.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.model.runtimes.cache import used_now
from server.model.runtimes.tolerance import is_tolerable, probe, snr_db

__all__ = ["OpenVino", "OpenVinoSession", "devices", "is_installed"]

_SHAPES: Final = 8
"""So many shapes of a graph are kept where each is compiled for itself."""
_PRECISIONS: Final = {"bf16": "bf16", "fp32": "f32", "fp16": "f16"}
_Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class OpenVino:
    """Where and how OpenVINO runs graphs."""

    device: str = "CPU"
    """CPU, GPU or NPU."""
    precision: str = "fp32"
    cache: Path | None = None
    """Folder of compiled graphs; None: they are compiled at every start."""

    def settings(self, threads: int) -> dict[str, Any]:
        """OpenVINO's properties for a graph that waits for one run at a time."""
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision],
        }
        if self.device == "CPU":
            settings["NUM_STREAMS"] = 1
            settings["INFERENCE_NUM_THREADS"] = threads
            # A pinned thread would take its core from the audio callback.
            settings["ENABLE_CPU_PINNING"] = False
        if self.cache is not None:
            settings["CACHE_DIR"] = str(self.cache)
        return settings


class OpenVinoSession:
    """A compiled graph, called as ONNX Runtime's sessions are.

    Args:
        path: the ONNX file.
        where: device, precision and cache.
        threads: CPU threads of a run.

    Raises:
        RuntimeError: OpenVINO cannot read or compile the file.
    """

    def __init__(self, path: Path, where: OpenVino, threads: int) -> None:
        where = _with_room(where)
        self._core = _openvino().Core()
        self._path, self._where, self._threads = path, where, threads
        self._running = threading.Lock()
        self._requests: dict[_Shapes, Any] = {}
        if where.device == "NPU":
            self._core.read_model(path)  # what is no graph fails here, not at the first run
            return
        if where.precision == "bf16" and not is_tolerable(path.stem, where.cache, self._bf16_db):
            self._where = replace(where, precision="fp32")
            self._requests.clear()
        if () not in self._requests:
            self._requests[()] = self._compile(path)

    def _bf16_db(self) -> float:
        """The signal-to-noise ratio in bfloat16; float32 first, so that one is in memory."""
        where = replace(self._where, precision="fp32", cache=None)
        exact = OpenVinoSession(self._path, where, self._threads)
        ports = exact._requests[()].get_compiled_model().inputs
        inputs = probe({port.get_any_name(): _lengths(port) for port in ports})
        wanted = exact.run(None, inputs)
        del exact, ports
        self._requests[()] = self._compile(self._path)
        return min(map(snr_db, wanted, self.run(None, inputs)))

    def get_providers(self) -> list[str]:
        """OpenVINO, its device and the precision."""
        return [f"OpenVINO {self._where.device} {self._where.precision}"]

    def run(self, _: None, inputs: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """All outputs for ``inputs``.

        Raises:
            RuntimeError: the inputs do not fit the graph, or OpenVINO failed.
        """
        with self._running:
            request = self._requests.get(()) or self._of_shapes(inputs)
            _check_shapes(request, inputs)
            outputs = [np.asarray(value) for value in request.infer(dict(inputs)).values()]
        if not all(output.size for output in outputs):
            raise RuntimeError("an output is empty")
        return outputs

    def _compile(self, model: Any) -> Any:
        settings = self._where.settings(self._threads)
        try:
            compiled = self._core.compile_model(model, self._where.device, settings)
        except RuntimeError:  # a full disk, or no graph, which the second try tells
            settings.pop("CACHE_DIR", None)
            compiled = self._core.compile_model(model, self._where.device, settings)
        if "CACHE_DIR" in settings and not compiled.get_property("LOADED_FROM_CACHE"):
            # What was compiled here holds its weights twice; from the file they are mapped.
            del compiled
            compiled = self._core.compile_model(model, self._where.device, settings)
        return compiled.create_infer_request()

    def _of_shapes(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Any:
        shapes = tuple((name, value.shape) for name, value in inputs.items())
        if shapes not in self._requests:
            while len(self._requests) >= _SHAPES:
                del self._requests[next(iter(self._requests))]
            model = self._core.read_model(self._path)
            model.reshape({name: list(shape) for name, shape in shapes})
            self._requests[shapes] = self._compile(model)
        return self._requests[shapes]


def _with_room(where: OpenVino) -> OpenVino:
    """``where`` without its cache if nothing can be written there."""
    try:
        if where.cache is not None:
            used_now(where.cache)
    except OSError:
        return replace(where, cache=None)
    return where


def _check_shapes(request: Any, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse what OpenVINO computes to an empty output without an error."""
    for port in request.get_compiled_model().inputs:
        name, wanted = port.get_any_name(), port.get_partial_shape()
        given = inputs[name].shape if name in inputs else None
        if given is None or not wanted.compatible(_openvino().PartialShape(list(given))):
            raise RuntimeError(f"input {name} is {given}, the graph takes {wanted}")


def _lengths(port: Any) -> list[int]:
    """The lengths of an input, -1 for any."""
    return [n.get_length() if n.is_static else -1 for n in port.get_partial_shape()]


def is_installed() -> bool:
    """Whether the package is here; it is not imported."""
    return find_spec("openvino") is not None


def devices() -> list[str]:
    """Devices that OpenVINO finds, such as CPU and GPU.0."""
    return list(_openvino().Core().available_devices)


def _openvino() -> Any:
    # OpenVINO's converter reports its import to the network. Nothing here converts, and OpenVINO
    # does without the module.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    import openvino

    return openvino
