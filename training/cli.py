"""``audioldm-train``: the stages of the recipe as commands.

    audioldm-train STAGE --sounds FOLDER --run FOLDER      clap, vae, vocoder, partials, low_notes,
                                                           ldm, adversarial, grain or listener
    audioldm-train export --config tiny --run FOLDER --sounds FOLDER -o MODEL_FOLDER
    audioldm-train finetune MODEL_FOLDER --sounds FOLDER -o MODEL_FOLDER
    audioldm-train evaluate ...
    audioldm-train fullband ...

A command that was killed goes on where it was when it is given again.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from server.errors import AudioLDMError
from server.extras import install_extra
from training.fullband.command import add_fullband_commands, run_fullband

__all__ = ["main"]

log = logging.getLogger("audioldm.train")

TRAINED = (
    "clap", "vae", "vocoder", "partials", "low_notes", "ldm", "adversarial", "grain", "listener",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["evaluate"]:
            from training.evaluation.evaluate import main as evaluate

            return evaluate(arguments[1:])
        options = _parser().parse_args(arguments)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        log.info("loading PyTorch")
        _run(options)
    except AudioLDMError as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is missing; {install_extra('train')}")
    return 0


def _refuse(sentence: str) -> int:
    print(f"audioldm-train: {sentence}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="audioldm-train", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", default="tiny", help="tiny, audioldm-s, audioldm-l or a YAML")
    common.add_argument("--run", type=Path, default=Path("runs/tiny"), help="checkpoints go here")
    common.add_argument("--sounds", type=Path, required=True, help="folder with manifest.jsonl")
    common.add_argument("--device", default="", help="cpu or cuda; default: cuda if there is one")
    common.add_argument("--threads", type=int, default=0, help="CPU threads; default: all")
    for name in TRAINED:
        stage = commands.add_parser(name, parents=[common], help=f"stage {name}")
        stage.add_argument("--steps", type=int, default=0, help="instead of the configured number")
    export = commands.add_parser("export", parents=[common], help="write a model folder")
    export.add_argument("-o", "--output", type=Path, required=True)
    export.add_argument("--card", type=Path, help="MODEL_CARD.md to put into the folder")
    tune = commands.add_parser("finetune", parents=[common], help="learn a folder of sounds")
    tune.add_argument("model", type=Path, help="model folder to start from")
    tune.add_argument("-o", "--output", type=Path, required=True)
    tune.add_argument("--steps", type=int, default=600)
    commands.add_parser("evaluate", help="judge a model folder", add_help=False)
    add_fullband_commands(commands)
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.command.startswith("fullband"):
        run_fullband(options)
        return
    import msgspec
    import torch

    from training.curves import draw_curves
    from training.settings import load_settings
    from training.sounds.folder import prepare
    from training.stages import Run

    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    torch.backends.cudnn.allow_tf32 = False  # spectra need float32; networks run in bf16 anyway
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.command == "finetune":
        from training.finetune import finetune

        finetune(
            options.model,
            options.sounds,
            options.output,
            options.run,
            device=torch.device(device),
            steps=options.steps,
        )
        return
    settings = load_settings(options.config)
    prepare(options.sounds, options.run / "cache", variants=settings.pitch_variants)
    if options.command == "export":
        from training.export import export_run

        run = Run(settings, options.run, torch.device("cpu"))
        export_run(run, options.sounds, options.output, card=options.card)
        return
    if options.steps:
        section = getattr(settings, options.command)
        schedule = msgspec.structs.replace(section.schedule, steps=options.steps)
        section = msgspec.structs.replace(section, schedule=schedule)
        settings = msgspec.structs.replace(settings, **{options.command: section})
    run = Run(settings, options.run, torch.device(device))
    for stage in ("text", "clap") if options.command == "clap" else (options.command,):
        log.info("stage %s begins on %s", stage, device)
        measures = run.train(stage)
        print(stage, " ".join(f"{name}={value:.4f}" for name, value in measures.items()))
        if (run.folder / stage / "curve.csv").is_file():
            draw_curves(run.folder / stage)
