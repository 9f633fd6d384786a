"""Graphs on a device: the only room that imports ONNX Runtime."""

from __future__ import annotations

import ctypes.util
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from server.errors import InvalidRequest, ModelError, RenderError

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "Device",
    "Graph",
    "OutOfMemory",
    "available_providers",
    "default_threads",
    "has_cuda_driver",
    "providers_for",
]

Device = str
"""auto, cpu, cuda, tensorrt, coreml or directml; ``cuda:1`` is the second card."""
Provider = str | tuple[str, dict[str, str]]
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
_NO_MEMORY = re.compile(
    "failed to allocate|out of memory|bad.?alloc|alloc_failed|not enough memory", re.IGNORECASE
)
"""What ONNX Runtime's allocators and CUDA say when the memory is full."""


class OutOfMemory(RenderError):
    """The device has no memory for this much at a time; it goes on working."""


def available_providers() -> list[str]:
    """Execution providers this ONNX Runtime was built with."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def providers_for(device: Device) -> list[Provider]:
    """Providers to try in order for ``device``; the CPU always comes last.

    Raises:
        InvalidRequest: no such device, or this ONNX Runtime was not built for it.
    """
    built = available_providers()
    device, _, card = device.partition(":")
    if device == "auto":
        usable = _PROVIDERS["cuda"] in built and has_cuda_driver()
        device = "cuda" if usable else "cpu"
    wanted = _PROVIDERS.get(device, device)
    if wanted not in built:
        raise InvalidRequest(f"device {device}: this ONNX Runtime has only {', '.join(built)}")
    if device in ("cuda", "tensorrt"):
        _load_cuda_libraries()
    if wanted == _PROVIDERS["cpu"]:
        return [wanted]
    return [(wanted, {"device_id": card}) if card else wanted, _PROVIDERS["cpu"]]


def default_threads() -> int:
    """One compute thread a core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Graph:
    """One ONNX graph, loaded at its first use and kept."""

    def __init__(self, path: Path, providers: Sequence[Provider], threads: int) -> None:
        self._path = path
        self._providers = providers
        self._threads = threads
        self._session: onnxruntime.InferenceSession | None = None
        self._loading = threading.Lock()

    @property
    def providers(self) -> list[str]:
        """The providers in use; loads the graph."""
        return list(self.load().get_providers())

    def load(self) -> Any:
        """The session, created now if it was not before.

        Raises:
            ModelError: the file is no graph this ONNX Runtime can run.
        """
        with self._loading:
            if self._session is None:
                self._session = self._create()
            return self._session

    def __call__(self, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """All outputs for ``inputs``.

        Raises:
            OutOfMemory: there is no memory for inputs this large.
            RenderError: ONNX Runtime failed.
        """
        session = self.load()
        try:
            return list(session.run(None, inputs))
        except Exception as error:
            full = isinstance(error, MemoryError) or _NO_MEMORY.search(str(error))
            kind = OutOfMemory if full else RenderError
            raise kind(f"{self._path.stem} failed: {_first_line(error)}") from error

    def _create(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Threads that spin between steps would take the cores from the sound card.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Weights stored as int8 are made float32 once at load instead of at every run.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            return onnxruntime.InferenceSession(
                self._path, options, providers=list(self._providers)
            )
        except Exception as error:
            raise ModelError(f"{self._path} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def has_cuda_driver() -> bool:
    """Whether there is an NVIDIA driver; a card is likely then."""
    name = "nvcuda" if os.name == "nt" else "cuda"
    return ctypes.util.find_library(name) is not None


def _load_cuda_libraries() -> None:
    """Find the CUDA libraries that pip installed (extra ``gpu``) before a session needs them."""
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
