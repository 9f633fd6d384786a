"""``audioldm-train fullband``: the network behind ``models/air``.

    audioldm-train fullband --sounds FOLDER [--sounds MADE] --run RUN
    audioldm-train fullband-sounds MADE [--soundfont FILE.sf2]
    audioldm-train fullband-export --sounds FOLDER [--sounds MADE] --run RUN -o MODEL_FOLDER
                                   [--mean-with CHECKPOINT] [--gain-db LOW MIDDLE TOP]
    audioldm-train fullband-evaluate MODEL_FOLDER --sounds FOLDER --run RUN --out FOLDER

The stage needs none of the others. A command that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add_fullband_commands", "run_fullband"]


def add_fullband_commands(commands: Commands) -> None:
    """Add the four commands to those of ``audioldm-train``."""
    common = argparse.ArgumentParser(add_help=False)
    sounds = "folder with manifest.jsonl; groups of the first one are held out"
    common.add_argument("--sounds", type=Path, action="append", required=True, help=sounds)
    common.add_argument("--run", type=Path, default=Path("runs/air"), help="checkpoints go here")
    train = commands.add_parser("fullband", parents=[common], help="train the stage")
    train.add_argument("--config", help="a YAML with fields of FullbandSettings")
    train.add_argument("--steps", type=int, default=0, help="instead of the configured number")
    train.add_argument("--control", action="store_true", help="noise and overtones half and half")
    train.add_argument("--device", default="", help="cpu or cuda; default: cuda if there is one")
    train.add_argument("--threads", type=int, default=0, help="CPU threads; default: all")
    export = commands.add_parser("fullband-export", parents=[common], help="write a model folder")
    export.add_argument("-o", "--output", type=Path, required=True)
    export.add_argument(
        "--mean-with", type=Path, action="append", default=[], help="an earlier last.pt of the run"
    )
    gains = "dB for 8-12, 12-16 and 16-20 kHz"
    export.add_argument("--gain-db", type=float, nargs=3, default=(0.0, 0.0, 0.0), help=gains)
    export.add_argument("--card", type=Path, help="MODEL_CARD.md to put into the folder")
    judge = commands.add_parser("fullband-evaluate", parents=[common], help="measure a folder")
    judge.add_argument("model", type=Path)
    judge.add_argument("--out", type=Path, required=True, help="report.json and report.md go here")
    made = commands.add_parser("fullband-sounds", help="synthesise further sounds")
    made.add_argument("folder", type=Path)
    made.add_argument("--soundfont", type=Path, help="General MIDI, for the program fluidsynth")


def run_fullband(options: argparse.Namespace) -> None:
    """Run one of them."""
    if options.command == "fullband-sounds":
        from training.fullband.made_sounds import make_sounds

        make_sounds(options.folder, options.soundfont)
        return
    from training.fullband.bank import prepare_fullband

    prepare_fullband(options.sounds, options.run / "cache")
    {"fullband": _train, "fullband-export": _export, "fullband-evaluate": _evaluate}[
        options.command
    ](options)


def _train(options: argparse.Namespace) -> None:
    import msgspec
    import torch

    from training.curves import draw_curves
    from training.fullband.settings import FullbandSettings, build_stage, load_fullband_settings
    from training.loop import fit

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    settings = load_fullband_settings(options.config) if options.config else FullbandSettings()
    changed: dict[str, Any] = {"control": settings.control or options.control}
    if options.steps:
        changed["schedule"] = msgspec.structs.replace(settings.schedule, steps=options.steps)
    settings = msgspec.structs.replace(settings, **changed)
    stage = build_stage(settings, options.run / "cache", torch.device(device))
    folder = options.run / "fullband"
    measures = fit(stage, settings.schedule.fit(settings.seed), folder)
    print("fullband", " ".join(f"{name}={value:.4f}" for name, value in measures.items()))
    if (folder / "curve.csv").is_file():
        draw_curves(folder)


def _export(options: argparse.Namespace) -> None:
    from training.fullband.averaging import averaged_with, turned
    from training.fullband.export import export_fullband
    from training.fullband.network import UpperBandNetwork
    from training.loop import load_ema
    from training.sounds.credits import notices_text
    from training.sounds.folder import read_manifest

    entries = [entry for folder in options.sounds for entry in read_manifest(folder)]
    network = UpperBandNetwork()
    load_ema(network, options.run / "fullband")
    averaged_with(network, options.mean_with)
    turned(network, options.gain_db)
    notices = notices_text(options.sounds[0])
    export_fullband(network, entries, options.output, card=options.card, notices=notices)


def _evaluate(options: argparse.Namespace) -> None:
    from training.fullband.evaluate import evaluate

    evaluate(options.model, options.run / "cache", options.out)
