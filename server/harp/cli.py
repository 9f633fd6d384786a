"""The command ``audioldm-harp``. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from server import __version__
from server.config import Config, load_config
from server.config_flags import add_flags
from server.errors import AudioLDMError

__all__ = ["main"]

_SETTINGS = (
    "engine",
    "engine_token",
    "model",
    "models_folder",
    "memory",
    "device",
    "threads",
    "takes_folder",
    "state_folder",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0: done, 1: it failed (and said why), 2: wrong usage, 130: interrupted."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_serve(load_config(vars(options)), options.port))
    except AudioLDMError as error:
        print(f"audioldm-harp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audioldm-harp",
        description="AudioLDM for HARP, the sample editor that a DAW opens on a clip. Uses an "
        "audioldm-server or a running audioldm-daw with --engine URL, else renders by itself.",
    )
    parser.add_argument("--version", action="version", version=f"audioldm-harp {__version__}")
    parser.add_argument(
        "--port",
        type=int,
        default=7860,
        choices=range(65536),
        metavar="N",
        help="on loopback (default: 7860; 0: any)",
    )
    add_flags(parser, _SETTINGS)
    return parser


async def _serve(config: Config, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    from server.harp.app import serving_harp
    from server.harp.cards import CARDS
    from server.launch import make_engine
    from server.signals import on_stop_signal

    stop = asyncio.Event()
    on_stop_signal(stop.set)
    engine = make_engine(config)
    try:
        await engine.start()
        async with serving_harp(engine, config.roots[0], port) as bound:
            print(f"audioldm-harp {__version__}: {engine.manifest.name}; add to HARP:")
            for card in CARDS:
                print(f"  http://localhost:{bound}/{card.kind}", flush=True)
            await stop.wait()
    finally:
        await engine.close()


if __name__ == "__main__":
    sys.exit(main())
