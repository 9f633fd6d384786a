"""ONNX graphs on a device: with :mod:`server.model.resident`, all that imports ONNX Runtime."""

from __future__ import annotations

import ctypes.util
import os
import re
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from server.audio.interruption import interruptible
from server.errors import InvalidRequest, ModelError, RenderError
from server.model.provider_options import PROVIDERS, Provider, provider_on
from server.model.resident import opened

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "Device",
    "Graph",
    "OutOfMemory",
    "Provider",
    "available_providers",
    "default_threads",
    "has_cuda_driver",
    "providers_for",
]

Device = str
"""auto, cpu, cuda, tensorrt, coreml or directml; ``cuda:1`` is the second card."""
_NO_MEMORY = re.compile(
    "failed to allocate|out of memory|bad.?alloc|alloc_failed|not enough memory", re.IGNORECASE
)
"""Messages of ONNX Runtime's allocators and of CUDA when the memory is full."""


class OutOfMemory(RenderError):
    """The device has no memory for inputs of this size; smaller ones still work."""


def available_providers() -> list[str]:
    """Execution providers this ONNX Runtime was built with."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def providers_for(device: Device) -> list[Provider]:
    """Providers for ``device`` in order of preference; the CPU is last.

    Raises:
        InvalidRequest: an unknown device, or one that this ONNX Runtime was not built for.
    """
    built = available_providers()
    device, _, card = device.partition(":")
    if device == "auto":
        usable = PROVIDERS["cuda"] in built and has_cuda_driver()
        device = "cuda" if usable else "cpu"
    wanted = PROVIDERS.get(device, device)
    if wanted not in built:
        raise InvalidRequest(f"device {device}: this ONNX Runtime has only {', '.join(built)}")
    if device in ("cuda", "tensorrt"):
        _load_cuda_libraries()
    if wanted == PROVIDERS["cpu"]:
        return [wanted]
    return [provider_on(device, card), PROVIDERS["cpu"]]


def default_threads() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Graph:
    """One ONNX graph, loaded at its first use."""

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
        """Return the session; create it at the first call.

        Raises:
            ModelError: ONNX Runtime cannot load the file.
        """
        with self._loading:
            if self._session is None:
                self._session = self._create()
            return self._session

    def __call__(self, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """Run the graph and return all its outputs.

        Raises:
            OutOfMemory: there is no memory for inputs this large.
            RenderError: ONNX Runtime failed.
        """
        session = self.load()
        interruptible()
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
        # Threads that spin between steps would compete with the audio callback for cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # int8 weights become float32 once at load instead of at every run.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            make = partial(onnxruntime.InferenceSession, self._path, options)
            return opened(make, self._providers)
        except Exception as error:
            raise ModelError(f"{self._path} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def has_cuda_driver() -> bool:
    """Whether an NVIDIA driver is installed."""
    name = "nvcuda" if os.name == "nt" else "cuda"
    return ctypes.util.find_library(name) is not None


def _load_cuda_libraries() -> None:
    """Load the CUDA libraries that pip installed with the extra ``gpu``."""
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
