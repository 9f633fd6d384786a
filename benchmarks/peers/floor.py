"""Lower bound of the time for a clip of AudioLDM: its FLOPs over the machine's throughput.

    python -m benchmarks.peers.floor [--variant s] [--seconds 5.12] [--steps 20] [--threads 2]

FLOPs (a multiplication and an addition are two) are counted by torch in diffusers' networks,
guided, without tricks that save multiplications (Winograd). The machine's peak is the best product
of two large float32 matrices, by torch and by ONNX Runtime, whose own the engine hardly beats.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import describe_machine
from onnx_export.sources.architecture import build_network
from server.checkpoints.architecture import VARIANTS, attention_heads

FRAMES_A_SECOND: Final = 25
SHORTENED: Final = 4
"""Factor by which the VAE shortens both axes of the log-mel."""
SIZE: Final = 2048


def gflop_by_stage(variant: str, seconds: float, steps: int) -> dict[str, float]:
    """GFLOP of the stages that decide, for one guided clip; nothing is computed."""
    sizes = VARIANTS[variant]
    frames = round(seconds * FRAMES_A_SECOND)
    with torch.device("meta"):
        unet = build_network("unet", sizes, attention_heads(sizes, "original"))
        vae, vocoder = (build_network(name, sizes, []) for name in ("vae", "vocoder"))
        latent = torch.empty(2, sizes.latent_channels, frames, sizes.num_mels // SHORTENED)
        mel = torch.empty(1, SHORTENED * frames, sizes.num_mels)
        times, classes = torch.empty(2), torch.empty(2, sizes.embedding_dim)
        return {
            "unet": steps * _gflop(lambda: unet(latent, times, None, class_labels=classes)),
            "vae_decoder": _gflop(lambda: vae.decode(latent[:1])),
            "vocoder": _gflop(lambda: vocoder(mel)),
        }


def matmul_gflops(threads: int) -> dict[str, float]:
    """GFLOP a second of a large product, best of ten, by torch and by ONNX Runtime."""
    torch.set_num_threads(threads)
    matrix = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(np.float32)
    tensor = torch.from_numpy(matrix)
    session = _product(threads)
    sides: dict[str, Callable[[], Any]] = {
        "torch": lambda: tensor @ tensor,
        "onnxruntime": lambda: session.run(None, {"a": matrix, "b": matrix}),
    }
    return {name: 2e-9 * SIZE**3 / _least_s(run) for name, run in sides.items()}


def _gflop(call: Callable[[], Any]) -> float:
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def _product(threads: int) -> onnxruntime.InferenceSession:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE, SIZE]) for name in "abc"
    ]
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "product", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _least_s(run: Callable[[], Any], times: int = 10) -> float:
    def once() -> float:
        started_s = time.perf_counter()
        run()
        return time.perf_counter() - started_s

    return min(once() for _ in range(times))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Count, measure, print, and return it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--variant", default="s", choices=sorted(VARIANTS))
    parser.add_argument("--seconds", type=float, default=5.12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args(arguments)
    gflop = gflop_by_stage(settings.variant, settings.seconds, settings.steps)
    peak = matmul_gflops(settings.threads)
    gflop["total"] = sum(gflop.values())
    print(f"float32 matmul, GFLOP/s: {', '.join(f'{k} {v:.0f}' for k, v in peak.items())}")
    print(f"{'':14}{'GFLOP':>8}" + "".join(f"{f'floor, {name}':>20}" for name in peak))
    for stage, work in gflop.items():
        print(f"{stage:14}{work:8.0f}" + "".join(f"{work / v:18.2f} s" for v in peak.values()))
    return {"gflop": gflop, "matmul_gflops": peak, "machine": describe_machine()}


if __name__ == "__main__":
    main()
