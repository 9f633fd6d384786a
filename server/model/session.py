"""ONNX graphs on a device: with :mod:`server.model.runtimes`, all that imports a runtime."""

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
from server.model.runtimes.heap import give_back
from server.model.runtimes.openvino import OpenVino, OpenVinoSession
from server.model.runtimes.optimised import kept_graph, loaded
from server.model.runtimes.provider_options import PROVIDERS, Provider, provider_on
from server.model.runtimes.resident import opened

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
"""auto, cpu, cuda, tensorrt, coreml, directml or openvino; ``cuda:1`` is the second card."""
_NO_MEMORY = re.compile(
    "failed to allocate|out of memory|bad.?alloc|alloc_failed|not enough memory", re.IGNORECASE
)
"""Messages of the runtimes' allocators and of CUDA when the memory is full."""
_SMALL_BYTES = 50_000_000
"""Size of a graph, up to which speed counts for more than memory."""
_WHERE = re.compile(r"Exception from |Check '|FrontEnd API failed|Loading input model")
"""Lines of OpenVINO's messages that name places in its own source."""


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
    """One ONNX graph, loaded at its first use.

    Args:
        path: the ONNX file.
        providers: ONNX Runtime's, in order of preference.
        threads: CPU threads of a run.
        openvino: where OpenVINO runs it instead; None: ONNX Runtime does.
        cache: folder of optimised graphs; None: none are kept.
    """

    def __init__(
        self,
        path: Path,
        providers: Sequence[Provider],
        threads: int,
        openvino: OpenVino | None = None,
        *,
        cache: Path | None = None,
    ) -> None:
        self.path = path
        self._providers = providers
        self._on_cpu = list(providers) == [PROVIDERS["cpu"]]
        self._threads = threads
        self._openvino = openvino
        self._cache = cache
        self._session: onnxruntime.InferenceSession | OpenVinoSession | None = None
        self._loading = threading.Lock()

    @property
    def providers(self) -> list[str]:
        """The providers in use; loads the graph."""
        return list(self.load().get_providers())

    @property
    def runtime(self) -> str:
        """Version of ONNX Runtime, and the provider in use; loads the graph."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}, {self.providers[0]}"

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs; loads the graph."""
        return [output.name for output in self.load().get_outputs()]

    def load(self) -> Any:
        """Return the session; create it at the first call.

        Raises:
            ModelError: the runtime cannot load the file.
        """
        with self._loading:
            if self._session is None:
                self._session = self._create()
                give_back()
            return self._session

    def __call__(self, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        """Run the graph and return all its outputs.

        Raises:
            OutOfMemory: there is no memory for inputs this large.
            RenderError: the runtime failed.
        """
        session = self.load()
        interruptible()
        try:
            return list(session.run(None, inputs))
        except Exception as error:
            full = isinstance(error, MemoryError) or _NO_MEMORY.search(str(error))
            kind = OutOfMemory if full else RenderError
            raise kind(f"{self.path.stem} failed: {_reason(error)}") from error

    def _create(self) -> Any:
        try:
            if self._openvino is not None:
                return OpenVinoSession(self.path, self._openvino, self._threads)
            return self._on_onnxruntime()
        except Exception as error:
            raise ModelError(f"{self.path} cannot be loaded: {_reason(error)}") from error

    def _on_onnxruntime(self) -> Any:
        import onnxruntime

        cache = self._cache if self._on_cpu else None
        kept = kept_graph(self.path, cache, onnxruntime.__version__)
        if kept is not None:
            return loaded(kept, self._session_of, self.path)
        return self._session_of(self.path, None)

    def _session_of(self, path: Path, write_to: Path | None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if path != self.path:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if write_to is not None:
            options.optimized_model_filepath = str(write_to)
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # An arena keeps the most that a graph ever needed, beside those of the other graphs. A
        # small model saves 5 % of its time by that, and a large one needs an eighth more memory.
        options.enable_cpu_mem_arena = self.path.stat().st_size <= _SMALL_BYTES
        # A plan for the reuse of buffers saves nothing measurable on the CPU. It takes as long as
        # the square of the nodes: 0.4 s for the built-in vocoder.
        options.enable_mem_reuse = not self._on_cpu
        # Threads that spin between steps would compete with the audio callback for cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # int8 weights become float32 once at load instead of at every run.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        return opened(partial(onnxruntime.InferenceSession, path, options), self._providers)


def _reason(error: Exception) -> str:
    """The first line of a runtime's message that says what is wrong, not where in its source."""
    lines = [line for line in str(error).splitlines() if line and not _WHERE.match(line)]
    return next(iter(lines), type(error).__name__)


def has_cuda_driver() -> bool:
    """Whether an NVIDIA driver is installed."""
    name = "nvcuda" if os.name == "nt" else "cuda"
    return ctypes.util.find_library(name) is not None


def _load_cuda_libraries() -> None:
    """Load the CUDA libraries that pip installed with the extra ``gpu``."""
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
