"""ONNX Runtime's providers and their options, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["CUDA_GRAPH", "OPTIONS", "PROVIDERS", "Provider", "provider_on"]

Provider = str | tuple[str, dict[str, str]]
PROVIDERS: Final = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
CUDA_GRAPH: Final = {"enable_cuda_graph": "1"}
"""The option by which CUDA records the kernels of a run, to start them all at once."""
OPTIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "cuda": {
            # The exhaustive search, the default, begins anew for each length of sound.
            "cudnn_conv_algo_search": "HEURISTIC",
            # Pads one-dimensional convolutions, as a vocoder has, to [N, C, 1, D].
            "cudnn_conv1d_pad_to_nc1d": "1",
            # The default doubles the memory that is taken each time.
            "arena_extend_strategy": "kSameAsRequested",
        },
        "tensorrt": {"trt_fp16_enable": "1", "trt_timing_cache_enable": "1"},
        "coreml": {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"},
        "directml": {"performance_preference": "high_performance"},
        "cpu": {},
    }
)
"""By name of the device. The GPU benchmark compares those of CUDA with others."""


def provider_on(device: str, card: str = "") -> Provider:
    """The provider of ``device`` with its options; ``card`` is the number of the card."""
    options = {**OPTIONS.get(device, {}), **({"device_id": card} if card else {})}
    name = PROVIDERS.get(device, device)
    return (name, options) if options else name
