"""The command ``audioldm-daw``. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from server import __version__
from server.config import Config, load_config
from server.config_flags import add_flags
from server.errors import AudioLDMError

__all__ = ["main"]

_RENDER_SETTINGS = ("model", "device", "threads")
_JOBS = {
    "transfer": "change a clip into the style of a prompt",
    "inpaint": "replace parts of a clip",
    "continue": "extend a clip after its end, or before its start",
    "upscale": "add the missing high frequencies of a clip",
    "vary": "render variations of a take",
    "morph": "render a sound that changes from one prompt to the next",
}
"""Commands that render one kind of request each; ``render`` renders any kind."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        0: done, 1: failed (the reason is on stderr), 2: wrong usage, 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options, load_config(vars(options)))
    except AudioLDMError as error:
        print(f"audioldm-daw: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the output went into `head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, config: Config) -> int:
    if options.command is None:
        from osc_bridge.daw import run

        return run(config)
    return _COMMANDS.get(options.command, _render)(options, config)


def _render(options: argparse.Namespace, config: Config) -> int:
    from osc_bridge.commands.render import render

    return render(options, config)


def _model(options: argparse.Namespace, config: Config) -> int:
    from server.store.command import run_model_command

    return run_model_command(options, config)


def _library(options: argparse.Namespace, config: Config) -> int:
    from osc_bridge.commands.library import library

    return library(options, config)


def _takes(options: argparse.Namespace, config: Config) -> int:
    from osc_bridge.commands.takes import takes

    return takes(options, config)


def _presets(options: argparse.Namespace, config: Config) -> int:
    from osc_bridge.commands.presets import print_presets

    return print_presets(config, as_json=options.json)


def _service(options: argparse.Namespace, _: Config) -> int:
    from osc_bridge.commands.login_service import service

    return service(options.action, options.flags)


def _doctor(options: argparse.Namespace, config: Config) -> int:
    from osc_bridge.commands.doctor import doctor

    return doctor(config, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    from osc_bridge.commands.library import add_library_command
    from osc_bridge.commands.request_flags import add_request_flags
    from osc_bridge.commands.takes import add_takes_command
    from server.store.flags import add_model_command

    parser = argparse.ArgumentParser(
        prog="audioldm-daw",
        description="Sound from words for your DAW. Without a command it runs and answers OSC.",
    )
    parser.add_argument("--version", action="version", version=f"audioldm-daw {__version__}")
    add_flags(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    render = commands.add_parser("render", help="render a prompt to a file, without a server")
    words = "what it should sound like"
    render.add_argument("prompt", nargs="?", default=argparse.SUPPRESS, help=words)
    render.add_argument("-p", "--prompt", default="", help="the prompt, as an option")
    _add_output_flags(render)
    add_request_flags(render)
    add_flags(render, _RENDER_SETTINGS)

    for tag, summary in _JOBS.items():
        job = commands.add_parser(tag, help=summary, description=summary)
        job.add_argument("-p", "--prompt", default="", help="what it should sound like")
        _add_output_flags(job)
        job.set_defaults(kind=tag)
        add_request_flags(job, tag)
        add_flags(job, _RENDER_SETTINGS)

    add_model_command(commands)
    sounds = commands.add_parser("library", help="index folders of sounds, and find sounds in them")
    add_library_command(sounds)
    add_takes_command(commands.add_parser("takes", help="find takes, name them, file them"))

    commands.add_parser("devices", help="list the sound cards")

    presets = commands.add_parser("presets", help="list the presets and the live sets")
    presets.add_argument("--json", action="store_true", help="as JSON")
    add_flags(presets, ("state_folder",))

    doctor = commands.add_parser("doctor", help="check what works here, and how to fix the rest")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    add_flags(doctor)

    summary = "start audioldm-daw whenever you log in"
    service = commands.add_parser("service", help=summary, description=summary)
    service.add_argument("action", choices=("install", "uninstall", "status", "show"))
    flags_help = "flags that it shall run with, after --"
    service.add_argument("flags", nargs="*", metavar="FLAG", help=flags_help)
    return parser


def _add_output_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", required=True, metavar="FILE", help=".wav or .flac")
    command.add_argument("--json", action="store_true", help="describe the takes as JSON")
    command.add_argument(
        "--overwrite", action="store_true", help="allow -o to name a file that the job reads"
    )
    command.add_argument(
        "--preset",
        metavar="NAME",
        help="use the values of a preset (see `audioldm-daw presets`); other flags replace them",
    )


def _devices(_: argparse.Namespace, __: Config) -> int:
    from osc_bridge.audio.portaudio import list_devices

    devices = list_devices()
    for device in devices:
        mark = "*" if device.default else " "
        channels = f"{device.inputs} in, {device.outputs} out"
        print(f"{mark} {device.id:3} {device.name} ({device.host_api}), {channels}")
    if not devices:
        print("no sound card; takes are written to disk all the same")
    return 0


_COMMANDS: Final[dict[str, Callable[[argparse.Namespace, Config], int]]] = {
    "model": _model,
    "devices": _devices,
    "presets": _presets,
    "doctor": _doctor,
    "library": _library,
    "takes": _takes,
    "service": _service,
}
"""All but those that render."""


if __name__ == "__main__":
    sys.exit(main())
