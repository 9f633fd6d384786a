"""The flags of ``model``; standard library only, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from server.store.catalogue import CATALOGUE

__all__ = ["add_model_command"]


def add_model_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``model`` to the commands of a program."""
    model = commands.add_parser("model", help="add, list, verify and remove models")
    actions = model.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_parser(actions)
    actions.add_parser("list", help="the models here, and the published ones")
    verify = actions.add_parser("verify", help="check a model's files, and what they compute here")
    verify.add_argument("name", metavar="NAME")
    _add_templates(verify)
    remove = actions.add_parser("remove", help="delete a model that was added")
    remove.add_argument("name", metavar="NAME")


def _add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "add",
        help="download a published model, or take one from files",
        epilog="published: " + ", ".join(CATALOGUE),
    )
    add = parser.add_argument
    add("source", metavar="NAME", help="published name, Hub id, diffusers folder or .ckpt")
    add("--name", default="", help="what jobs call it (default: the source's name)")
    add("--accept-licence", action="store_true", help="accept the licence of the weights")
    add("--precision", default="fp32", choices=("fp32", "fp16", "fp16-weights", "int8-weights"))
    add(
        "--attention-heads", default="", choices=("original", "diffusers"), help="heads of the unet"
    )
    add("--clap", default="", metavar="WHERE", help="CLAP with the audio tower: a file or Hub id")
    add("--tokenizer", default="", metavar="WHERE", help="tokenizer of a .ckpt: a file or folder")
    add("--revision", default="main", help="branch or commit on the Hub")
    _add_templates(parser)


def _add_templates(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--templates", type=Path, metavar="FILE", help="graphs for other sizes than the published"
    )
