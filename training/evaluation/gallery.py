"""Log-mel pictures of takes beside real held-out clips of the same kind.

python -m training.evaluation.gallery models/tiny --sounds FOLDER -o docs/evaluation/gallery.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from server.audio.waveform import Waveform
from server.render.pipeline import Pipeline
from server.requests.request import TextToAudio
from training.networks.mel import HOP_LENGTH, LOG_FLOOR, SAMPLE_RATE, LogMel
from training.sounds.folder import held_out, read_manifest

__all__ = ["draw_gallery", "main"]

SUBJECTS: Final = (
    ("a deep kick drum", "kick"),
    ("a snare drum hit", "snare"),
    ("a techno drum loop at 120 bpm", "techno drum loop"),
    ("a piano playing a C4 note", "piano playing"),
    ("a violin playing a sustained A4 note", "violin playing a"),
    ("a warm synth pad playing a chord", "synth pad playing"),
    ("rain falling", "rain"),
    ("ocean waves", "waves"),
    ("a crackling fire", "crackling fire"),
    ("a dog barking", "dog bark"),
    ("footsteps on wood", "footsteps of a person walking"),
    ("an explosion", "explosion"),
)
"""Prompts, and what the caption of a real clip to compare with contains."""
SECONDS: Final = 2.56


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the gallery of one model folder."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.gallery")
    parser.add_argument("model", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(argv)
    draw_gallery(Pipeline(options.model, device="cpu"), options.sounds, options.output)
    return 0


def draw_gallery(pipeline: Pipeline, sounds: Path, output: Path) -> None:
    """One row of pictures a pair of subjects: take, real clip, take, real clip."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    entries = read_manifest(sounds)
    figure, panels = pyplot.subplots(len(SUBJECTS) // 2, 4, figsize=(12, 1.9 * len(SUBJECTS) // 2))
    cells = iter(panels.flat)
    for prompt, wanted in SUBJECTS:
        request = TextToAudio(prompt=prompt, audio_length_in_s=SECONDS, seed=1)
        take = pipeline.render(request)[0].waveform
        _draw(next(cells), take, f"{prompt}: take")
        _draw(next(cells), _real(sounds, entries, wanted), "real, held out")
    figure.tight_layout()
    figure.savefig(output, dpi=75)
    pyplot.close(figure)


def _real(sounds: Path, entries: list[dict[str, Any]], wanted: str) -> Waveform:
    """The first clip whose caption has ``wanted``; one that was held out where there is any."""
    fitting = [entry for entry in entries if any(wanted in text for text in entry["captions"])]
    fitting.sort(key=lambda entry: not held_out(str(entry.get("group", entry["file"]))))
    return Waveform.read(sounds / fitting[0]["file"])


def _draw(panel: Any, waveform: Waveform, title: str) -> None:
    samples = torch.from_numpy(waveform.resample(SAMPLE_RATE).samples.mean(axis=1))
    samples = samples / samples.abs().max().clamp(min=1e-4)
    frames = int(SECONDS * SAMPLE_RATE) // HOP_LENGTH
    panel.imshow(_picture(samples, frames).T, origin="lower", aspect="auto", cmap="magma",
                 vmin=LOG_FLOOR, vmax=1.0)  # fmt: skip
    panel.set_title(title, fontsize=7)
    panel.set_xticks([])
    panel.set_yticks([])


def _picture(samples: Tensor, frames: int) -> Tensor:
    length = frames * HOP_LENGTH
    padded = functional.pad(samples[:length], (0, max(0, length - len(samples))))
    return LogMel()(padded[None])[0]


if __name__ == "__main__":
    raise SystemExit(main())
