"""Training on another machine in a given number of minutes, in three commands.

python -m training.sessions pack --sounds FOLDER -o SHARDS
python -m training.sessions train MODEL --shards SHARDS --minutes 8 -o PIECES
python -m training.sessions unpack MODEL PIECES --run RUN

Then: audioldm-train export --config RUN/settings.yaml --run RUN --sounds FOLDER -o NEW_MODEL
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from server.errors import AudioLDMError
from training.sessions.base import start_run
from training.sessions.session import Session, SessionPlan
from training.sessions.shards import SHARD_BYTES, read_shards, write_shards
from training.sounds.folder import read_manifest

__all__ = ["main", "pack", "unpack"]

log = logging.getLogger("audioldm.train")


def pack(sounds: Path, shards: Path, size: int = SHARD_BYTES) -> int:
    """Write the sounds and their manifest as shards; returns the number of shards."""
    files = {str(entry["file"]): sounds / entry["file"] for entry in read_manifest(sounds)}
    manifest = sounds / "manifest.jsonl"
    named = {manifest.name: manifest} if manifest.is_file() else {}
    return len(write_shards(named | files, shards, size))


def unpack(model: Path, pieces: Path, run: Path) -> list[str]:
    """Make ``run`` from ``model`` and the pieces that came back; returns the stages in it."""
    start_run(model, run)
    stages = [stage for stage in ("ldm", "adversarial", "listener") if (pieces / stage).is_dir()]
    for stage in stages:
        read_shards(pieces / stage, run)
    return stages


def _train(options: argparse.Namespace) -> None:
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    sounds, plan = options.run / "sounds", SessionPlan(minutes=options.minutes)
    session = Session(plan, options.model, options.run, options.output, torch.device(device))
    read_shards(options.shards, sounds)
    for stage, measures in session.train(sounds).items():
        print(stage, " ".join(f"{name}={value:.4f}" for name, value in measures.items()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.sessions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="sounds into shards of 16 MiB")
    packing.add_argument("--sounds", type=Path, required=True)
    packing.add_argument("-o", "--output", type=Path, required=True)
    training = commands.add_parser("train", help="train for some minutes")
    training.add_argument("model", type=Path, help="model folder to start from")
    training.add_argument("--shards", type=Path, required=True)
    training.add_argument("--minutes", type=float, required=True)
    training.add_argument("--run", type=Path, default=Path("runs/short"))
    training.add_argument("--device", default="", help="cpu or cuda; default: cuda if there is one")
    training.add_argument("-o", "--output", type=Path, required=True)
    joining = commands.add_parser("unpack", help="a run folder from the pieces")
    joining.add_argument("model", type=Path, help="the model folder that training started from")
    joining.add_argument("pieces", type=Path)
    joining.add_argument("--run", type=Path, default=Path("runs/short"))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        if options.command == "pack":
            print(pack(options.sounds, options.output), "shards")
        elif options.command == "train":
            _train(options)
        else:
            print(" ".join(unpack(options.model, options.pieces, options.run)))
    except AudioLDMError as error:
        print(f"training.sessions: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
