"""Cost of a take by length, steps and number of takes, and the effect of partial guidance.

    python -m benchmarks.cost [--model FOLDER] [--rounds 3] [--threads 0] [--json FILE]

Seconds are by the clock, the least of ``rounds``: on a shared machine the others' work only adds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.peers.runtimes import PROMPTS, clap_score
from server.model.runtimes.tolerance import snr_db
from server.render.pipeline import Pipeline
from server.render.take import Take
from server.requests.request import TextToAudio

__all__ = ["guidance", "growth", "main"]

LENGTHS_S: Final = (1.28, 2.56, 5.12, 10.24, 20.48, 40.96)
STEPS: Final = (4, 8, 20, 50)
TAKES: Final = (1, 2, 4, 8)
GUIDED: Final = (1.0, 0.8, 0.6, 0.4, 0.2)


def growth(pipeline: Pipeline, rounds: int) -> list[dict[str, Any]]:
    """Seconds over length, steps and takes; each row says what it differs in from 5.12 s, 20, 1."""
    cases = [
        *({"audio_length_in_s": seconds} for seconds in LENGTHS_S),
        *({"num_inference_steps": steps} for steps in STEPS),
        *({"num_waveforms_per_prompt": takes} for takes in TAKES),
    ]
    rows = []
    for case in cases:
        request = _request(PROMPTS[0], case)
        rows.append({**case, "seconds": round(_least(pipeline, [request], rounds), 3)})
    return rows


def guidance(pipeline: Pipeline, rounds: int) -> list[dict[str, Any]]:
    """Seconds, SNR against guiding every step, and CLAP score, over the share that is guided."""
    rows: list[dict[str, Any]] = []
    whole: list[Take] = []
    for share in GUIDED:
        requests = [_request(prompt, {"guidance_end": share}) for prompt in PROMPTS[:8]]
        takes = [pipeline.render(request)[0] for request in requests]
        whole = whole or takes
        pairs = list(zip(takes, whole, strict=True))
        rows.append(
            {
                "guidance_end": share,
                "seconds": round(_least(pipeline, requests, rounds) / len(requests), 3),
                "snr_db": round(float(np.median([_snr_db(*pair) for pair in pairs])), 1),
                "clap": round(float(np.mean([clap_score(pipeline, take) for take in takes])), 4),
            }
        )
    return rows


def _request(prompt: str, changes: dict[str, Any]) -> TextToAudio:
    settings = {"audio_length_in_s": 5.12, "num_inference_steps": 20, **changes}
    return TextToAudio(prompt=prompt, seed=1, **settings)


def _least(pipeline: Pipeline, requests: Sequence[TextToAudio], rounds: int) -> float:
    """Least seconds for ``requests`` in ``rounds``, after one round to warm up."""
    found = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        for request in requests:
            pipeline.render(request)
        found.append(time.perf_counter() - begun)
    return min(found[1:])


def _snr_db(take: Take, reference: Take) -> float:
    return snr_db(reference.waveform.samples, take.waveform.samples)


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(str(files("models"))) / "tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: what fits")
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args(arguments)
    pipeline = Pipeline(options.model, threads=options.threads)
    report = {
        "machine": describe_machine(),
        "model": pipeline.manifest.name,
        "growth": growth(pipeline, options.rounds),
        "guidance": guidance(pipeline, options.rounds),
    }
    for row in (*report["growth"], *report["guidance"]):
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
