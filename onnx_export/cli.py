"""``audioldm-export``: checkpoints to model folders, parity, quantisation.

Heavy modules are imported after the arguments are read, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from onnx_export.arguments import (
    export_parser,
    quantise_parser,
    random_parser,
    templates_parser,
    triton_parser,
    verify_parser,
    vocoder_parser,
)
from server.errors import AudioLDMError, InvalidRequest
from server.extras import install_extra

if TYPE_CHECKING:
    from onnx_export.export import Flavour, Precision
    from onnx_export.sources.open_source import SourceOptions
    from onnx_export.sources.source import Source

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 after success; 1 where ``verify`` found a graph beyond its tolerance; 2 after an error,
        which is printed to stderr and leaves no files behind.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parse, run = COMMANDS.get(arguments[0] if arguments else "", (export_parser, _export))
    options = parse().parse_args(arguments[1:] if run is not _export else arguments)
    # A terminated export must still delete its unfinished folder.
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(options)
    except (AudioLDMError, OSError) as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is missing; {install_extra('export')}")
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"audioldm-export: {sentence}\n")
    return 2


def _source_options(options: argparse.Namespace) -> SourceOptions:
    from onnx_export.sources.open_source import SourceOptions
    from server.checkpoints.manifest import AUDIOLDM_LICENCE

    return SourceOptions(
        clap=options.clap,
        tokenizer=options.tokenizer,
        heads=options.attention_heads,
        ema=not options.no_ema,
        licence=options.licence or AUDIOLDM_LICENCE,
        trust_pickle=options.trust_pickle,
    )


def _export(options: argparse.Namespace) -> int:
    from onnx_export.sources.open_source import open_source

    _quiet_libraries()
    source = open_source(options.source, _source_options(options))
    return _write(source, options)


def _write(source: Source, options: argparse.Namespace) -> int:
    from onnx_export.export import export_source

    flavour: Flavour = options.flavour or ("cuda" if options.precision == "fp16" else "any")
    precision: Precision = options.precision or ("fp16" if flavour == "cuda" else "fp32")
    if precision == "fp16" and flavour != "cuda":
        raise InvalidRequest(
            f"precision fp16 is slow on a CPU and so contradicts --flavour {flavour}; "
            "take fp16-weights or --flavour cuda"
        )
    manifest = export_source(options.output, source, precision=precision, flavour=flavour)
    size = sum(entry.bytes for entry in manifest.files.values()) / 2**20
    print(f"{options.output}: {manifest.name}, {manifest.precision}, {size:.0f} MiB")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from onnx_export.parity import HEADER, TOLERANCE, compare
    from onnx_export.sources.open_source import open_source
    from server.model.manifest import Manifest

    _quiet_libraries()
    manifest = Manifest.load(options.folder)
    manifest.verify(options.folder)
    source = open_source(options.against, _source_options(options))
    tolerance = TOLERANCE[manifest.precision]
    print(HEADER)
    close = True
    for row in compare(options.folder, source):
        print(row.line(tolerance), flush=True)
        close = close and row.relative_error <= tolerance
    return 0 if close else 1


def _quantise(options: argparse.Namespace) -> int:
    from onnx_export.quantise import quantise

    manifest = quantise(options.folder, options.output, options.precision)
    size = sum(entry.bytes for entry in manifest.files.values()) / 2**20
    print(f"{options.output}: {manifest.name}, {manifest.precision}, {size:.0f} MiB")
    return 0


def _vocoder(options: argparse.Namespace) -> int:
    from pathlib import Path

    from onnx_export.vocoder_swap import with_vocoder
    from server.config import built_in_model

    donor = built_in_model() if options.of == "built-in" else Path(options.of)
    manifest = with_vocoder(options.folder, options.output, donor)
    print(f"{options.output}: {manifest.name}, {manifest.source}")
    return 0


def _triton(options: argparse.Namespace) -> int:
    from onnx_export.triton import write_repository

    manifest = write_repository(
        options.folder,
        options.output,
        kind=options.kind,
        instances=options.instances,
        max_batch=options.max_batch,
    )
    print(f"{options.output}: {manifest.name}; tritonserver --model-repository {options.output}")
    return 0


def _templates(options: argparse.Namespace) -> int:
    from onnx_export.templates import PUBLISHED, write_templates

    _quiet_libraries()
    write_templates(options.output)
    size = options.output.stat().st_size / 2**10
    print(f"{options.output}: {len(PUBLISHED)} graphs without weights, {size:.0f} KiB")
    return 0


def _random(options: argparse.Namespace) -> int:
    from onnx_export.sources.random_source import (
        RandomSource,
        write_diffusers_folder,
        write_original_checkpoint,
    )
    from server.checkpoints.architecture import VARIANTS

    _quiet_libraries()
    source = RandomSource(
        sizes=VARIANTS[options.variant],
        name=f"audioldm-{options.variant}-random",
        seed=options.seed,
        heads=options.attention_heads,
    )
    code = _write(source, options)
    if options.also_diffusers:
        write_diffusers_folder(source, options.also_diffusers)
    if options.also_ckpt:
        write_original_checkpoint(source, options.also_ckpt)
    return code


def _quiet_libraries() -> None:
    """Turn off the libraries' own warnings and progress bars."""
    import diffusers
    import transformers

    for logging in (diffusers.logging, transformers.logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


Command = tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace], int]]
COMMANDS: dict[str, Command] = {
    "verify": (verify_parser, _verify),
    "quantise": (quantise_parser, _quantise),
    "vocoder": (vocoder_parser, _vocoder),
    "triton": (triton_parser, _triton),
    "templates": (templates_parser, _templates),
    "random": (random_parser, _random),
}


if __name__ == "__main__":
    sys.exit(main())
