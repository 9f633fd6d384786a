"""One side of a comparison, in a process of its own so that its memory can be measured.

It loads, says ``ready``, then renders one clip for every line on standard input, with as many steps
as the line says. It answers with a line of JSON: seconds in all and by stage, and the peak of its
resident memory so far. On a CPU these are seconds of processor time, which other programs hardly
change; ``wall`` is time on the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

Stages = dict[str, float]
_ON_GPU: list[bool] = []
PROMPT = "a dog barks twice in a stone courtyard while rain falls"


def ours(folder: Path, settings: argparse.Namespace) -> Callable[[int], Stages]:
    """This project's pipeline on a model folder."""
    from server.model.session import Graph
    from server.render.pipeline import Pipeline
    from server.requests.request import Delivery, TextToAudio

    cache = folder.parent / "compiled"
    pipeline = Pipeline(folder, settings.device, settings.threads, cache=cache)
    request = TextToAudio(
        prompt=PROMPT,
        seed=1,
        audio_length_in_s=settings.seconds,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        sampler=settings.sampler,
        num_waveforms_per_prompt=settings.takes,
        delivery=Delivery(sample_rate=pipeline.manifest.sample_rate),
    )
    spent: Stages = {}
    run = Graph.__call__

    def timed(graph: Graph, **inputs: Any) -> Any:
        return _timed(partial(run, graph), graph.path.stem, spent)(**inputs)

    Graph.__call__ = timed  # type: ignore[method-assign]

    def render(steps: int) -> Stages:
        spent.clear()
        pipeline.text._cache.pop(PROMPT, None)
        pipeline.render(msgspec.structs.replace(request, num_inference_steps=steps))
        return dict(spent)

    return render


def theirs(folder: Path, settings: argparse.Namespace) -> Callable[[int], Stages]:
    """diffusers' AudioLDMPipeline, eager, in the precision that was asked for."""
    import diffusers
    import torch

    torch.set_num_threads(settings.threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    pipeline = diffusers.AudioLDMPipeline.from_pretrained(
        folder, torch_dtype=dtype[settings.precision]
    )
    pipeline.to("cuda" if settings.device == "cuda" else "cpu")
    if settings.sampler == "dpmpp_2m":
        pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
            pipeline.scheduler.config
        )
    pipeline.set_progress_bar_config(disable=True)
    spent: Stages = {}
    pipeline.unet.forward = _timed(pipeline.unet.forward, "unet", spent)
    pipeline.vae.decode = _timed(pipeline.vae.decode, "vae_decoder", spent)
    pipeline.vocoder.forward = _timed(pipeline.vocoder.forward, "vocoder", spent)
    pipeline.text_encoder.forward = _timed(pipeline.text_encoder.forward, "text_encoder", spent)

    def render(steps: int) -> Stages:
        spent.clear()
        pipeline(
            PROMPT,
            audio_length_in_s=settings.seconds,
            num_inference_steps=steps,
            guidance_scale=settings.guidance,
            num_waveforms_per_prompt=settings.takes,
        )
        return dict(spent)

    return render


class _Timed:
    """A callable that adds up how long it takes; everything else passes through."""

    def __init__(self, call: Any, name: str, spent: Stages) -> None:
        self._call, self._name, self._spent = call, name, spent

    def __call__(self, *values: Any, **named: Any) -> Any:
        begin = _clock()
        result = self._call(*values, **named)
        self._spent[self._name] = self._spent.get(self._name, 0.0) + _clock() - begin
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


def _clock() -> float:
    return time.perf_counter() if _ON_GPU else time.process_time()


def _timed(call: Any, name: str, spent: Stages) -> Any:
    return _Timed(call, name, spent)


def main() -> None:
    """Serve render requests until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("ours", "theirs"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--takes", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--guidance", type=float, required=True)
    parser.add_argument("--sampler", required=True)
    parser.add_argument("--precision", required=True, choices=("fp32", "bf16", "fp16"))
    settings = parser.parse_args()
    _ON_GPU[:] = [True] if settings.device == "cuda" else []
    render = {"ours": ours, "theirs": theirs}[settings.side](settings.folder, settings)
    print("ready", flush=True)
    for line in sys.stdin:
        begin_s, begin = time.perf_counter(), _clock()
        stages = render(int(line))
        total, wall = _clock() - begin, time.perf_counter() - begin_s
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"total": total, "wall": wall, "peak_mb": peak_mb, **stages}), flush=True)


if __name__ == "__main__":
    main()
