"""Whether another runtime or precision harms the sound: 20 takes against float32 ONNX Runtime.

    python -m benchmarks.peers.runtimes --model FOLDER [--device openvino] [--steps N] [--json FILE]

Both sides render the same prompts and seeds. Printed are the signal-to-noise ratio of the finished
takes, and the CLAP scores of both sides by the model's own towers.
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.machine import describe_machine
from server.model.runtimes.tolerance import snr_db
from server.render.pipeline import Pipeline
from server.render.take import Take
from server.requests.request import TextToAudio

__all__ = ["PROMPTS", "clap_score", "compare", "main"]

PROMPTS: Final = (
    *("a kick drum", "heavy rain", "a dog barking", "warm synth pad"),
    *("footsteps on gravel", "a crackling fire", "a church bell", "techno drum loop"),
    *("a snare drum", "wind in trees", "a rooster crows", "an electric bass playing E2"),
    *("a door slams", "applause in a hall", "a glass breaks", "a laser in a game"),
    *("a violin playing A4", "thunder far away", "a clock ticking", "a train passes"),
)


def compare(folder: Path, device: str, **settings: Any) -> dict[str, Any]:
    """SNR (dB) of the takes on ``device``, and the CLAP scores of both sides."""
    exact, other = Pipeline(folder, device="cpu"), Pipeline(folder, device=device)
    ratios, scores = [], []
    for prompt in PROMPTS:
        request = TextToAudio(prompt=prompt, seed=1, **settings)
        wanted, got = (pipeline.render(request)[0] for pipeline in (exact, other))
        ratios.append(snr_db(wanted.waveform.samples, got.waveform.samples))
        scores.append([clap_score(exact, take) for take in (wanted, got)])
    mean, spread = np.mean(scores, axis=0), np.std(np.diff(scores, axis=1))
    return {
        "machine": describe_machine(),
        "runtimes": {
            name: other.graphs[name].providers[0] for name in ("unet", "vae_decoder", "vocoder")
        },
        "snr_db_median": float(np.median(ratios)),
        "snr_db_least": min(ratios),
        "clap_float32": round(float(mean[0]), 4),
        "clap": round(float(mean[1]), 4),
        "clap_difference_se": round(float(spread) / len(PROMPTS) ** 0.5, 4),
    }


def clap_score(pipeline: Pipeline, take: Take) -> float:
    """Cosine of the embeddings of a take and of its prompt."""
    assert take.embedding is not None
    sound = take.embedding.astype(np.float64)
    said = pipeline.text(take.recipe.request.prompt).astype(np.float64)
    return float(sound @ said / np.linalg.norm(sound) / np.linalg.norm(said))


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, default=Path(str(files("models"))) / "tiny")
    parser.add_argument("--device", default="openvino")
    parser.add_argument("--steps", type=int, help="default: the model's")
    parser.add_argument("--seconds", type=float, default=5.12)
    parser.add_argument("--json", type=Path, help="write the result here too")
    options = parser.parse_args(arguments)
    settings: dict[str, Any] = {"audio_length_in_s": options.seconds}
    if options.steps:
        settings["num_inference_steps"] = options.steps
    report = compare(options.model, options.device, **settings)
    print("\n".join(f"{name} {value}" for name, value in report.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
