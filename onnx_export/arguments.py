"""The arguments of ``audioldm-export``; standard library only."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = [
    "export_parser",
    "quantise_parser",
    "random_parser",
    "templates_parser",
    "triton_parser",
    "verify_parser",
]

PRECISIONS = ("fp32", "fp16", "fp16-weights", "int8-weights")
STORAGES = ("fp16-weights", "int8-weights")
EPILOG = """\
other commands:
  audioldm-export verify FOLDER --against SOURCE     parity of every graph with torch
  audioldm-export quantise FOLDER -o OUT             smaller weights for a fp32 model folder
  audioldm-export triton FOLDER -o REPO              a model repository for Triton
  audioldm-export templates -o FILE                  graphs without weights, for model add
  audioldm-export random --variant s -o FOLDER       the real architecture, random weights

Each of them answers --help."""


def _parser(command: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"audioldm-export {command}".strip(),
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def export_parser() -> argparse.ArgumentParser:
    parser = _parser("", "Export an AudioLDM checkpoint as an ONNX model folder.", EPILOG)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="an original .ckpt, a diffusers AudioLDM folder, or its Hugging Face Hub id",
    )
    _add_output(parser)
    _add_precision(parser)
    _add_source_options(parser)
    return parser


def verify_parser() -> argparse.ArgumentParser:
    parser = _parser("verify", "Compare the graphs of a model folder with torch, one by one.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--against", required=True, metavar="SOURCE", help="what it was made from")
    _add_source_options(parser)
    return parser


def quantise_parser() -> argparse.ArgumentParser:
    parser = _parser("quantise", "Store the weights of a fp32 model folder smaller.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    _add_output(parser)
    parser.add_argument("--precision", choices=STORAGES, default="int8-weights")
    return parser


def triton_parser() -> argparse.ArgumentParser:
    parser = _parser("triton", "Write a model repository for Triton's ONNX Runtime backend.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="REPO", help="the new repository"
    )
    parser.add_argument(
        "--kind", choices=("auto", "cpu", "gpu"), default="auto", help="where instances run"
    )
    parser.add_argument("--instances", type=int, default=1, metavar="N", help="of each graph")
    parser.add_argument("--max-batch", type=int, default=16, metavar="N")
    return parser


def random_parser() -> argparse.ArgumentParser:
    parser = _parser("random", "Make a model folder of the real architecture with random weights.")
    parser.add_argument("--variant", choices=("s", "m", "l"), default="s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--attention-heads", choices=("original", "diffusers"), default="original")
    parser.add_argument("--also-diffusers", type=Path, metavar="DIR", help="same, for diffusers")
    parser.add_argument("--also-ckpt", type=Path, metavar="FILE", help="same, as an original .ckpt")
    _add_output(parser)
    _add_precision(parser)
    return parser


def templates_parser() -> argparse.ArgumentParser:
    parser = _parser("templates", "Make the graphs without weights that `model add` fills.")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="the new model folder"
    )


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="fp32; fp16: the unet computes in half precision, for CUDA; fp16-weights and "
        "int8-weights: smaller files, computed in fp32 (default: fp32, or fp16 for cuda)",
    )
    parser.add_argument(
        "--flavour",
        choices=("any", "cpu", "cuda"),
        help="the device the graphs are meant for (default: any, or cuda for fp16)",
    )


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--attention-heads",
        choices=("original", "diffusers"),
        help="heads of the unet: as AudioLDM was trained, or 8 everywhere as diffusers runs its "
        "conversion (default: original for a .ckpt, what its config says for a folder)",
    )
    add(
        "--clap",
        default="",
        metavar="CLAP",
        help="audio tower for a diffusers folder, which lacks one: a LAION-CLAP checkpoint, or a "
        "folder or Hub id of a transformers ClapModel",
    )
    add(
        "--tokenizer",
        default="roberta-base",
        metavar="WHERE",
        help="tokenizer for a .ckpt, which lacks one: a tokenizer.json, a folder or a Hub id "
        "(default: %(default)s)",
    )
    add("--no-ema", action="store_true", help="plain unet weights of a .ckpt instead of EMA")
    add("--licence", help="licence of the weights, for the manifest and every render")
    add(
        "--trust-pickle",
        action="store_true",
        help="read checkpoints that hold Python objects; those can run code",
    )
