"""One side of a comparison, in a process of its own so that its memory can be measured.

It loads, says ``ready``, then renders one clip for every line on standard input and answers with
a line of JSON: seconds in all and by stage, and the peak of its resident memory so far.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Stages = dict[str, float]
PROMPT = "a dog barks twice in a stone courtyard while rain falls"


def ours(folder: Path, settings: argparse.Namespace) -> Callable[[], Stages]:
    """This project's pipeline on a model folder."""
    from server.render.pipeline import Pipeline
    from server.requests.request import Delivery, TextToAudio

    pipeline = Pipeline(folder, settings.device, settings.threads)
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
    for name, graph in pipeline.graphs.items():
        pipeline.graphs[name] = _timed(graph, name, spent)
    pipeline.text._graph = pipeline.graphs["text_encoder"]
    pipeline.unet._graph = pipeline.graphs["unet"]

    def render() -> Stages:
        spent.clear()
        pipeline.text._remembered.pop(PROMPT, None)
        pipeline.render(request)
        return dict(spent)

    return render


def theirs(folder: Path, settings: argparse.Namespace) -> Callable[[], Stages]:
    """diffusers' AudioLDMPipeline, eager, float32 on a CPU and float16 on a GPU."""
    import diffusers
    import torch

    torch.set_num_threads(settings.threads)
    dtype = torch.float32 if settings.device == "cpu" else torch.float16
    pipeline = diffusers.AudioLDMPipeline.from_pretrained(folder, torch_dtype=dtype)
    pipeline.to(settings.device)
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

    def render() -> Stages:
        spent.clear()
        pipeline(
            PROMPT,
            audio_length_in_s=settings.seconds,
            num_inference_steps=settings.steps,
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
        begin = time.perf_counter()
        result = self._call(*values, **named)
        self._spent[self._name] = self._spent.get(self._name, 0.0) + time.perf_counter() - begin
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


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
    settings = parser.parse_args()
    render = {"ours": ours, "theirs": theirs}[settings.side](settings.folder, settings)
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        stages = render()
        total = time.perf_counter() - begin
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"total": total, "peak_mb": peak_mb, **stages}), flush=True)


if __name__ == "__main__":
    main()
