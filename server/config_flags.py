"""The flags of the settings, made from their fields."""

from __future__ import annotations

import argparse
from collections.abc import Container
from typing import Final

from server.config import ENVIRONMENT_PREFIX, Config
from server.requests.fields import Field, fields_of

__all__ = ["add_flags"]


def add_flags(parser: argparse.ArgumentParser, names: Container[str] | None = None) -> None:
    """Add a flag for each field (of those in ``names``), and ``--config FILE``."""
    group = parser.add_argument_group("settings", f"also as {ENVIRONMENT_PREFIX}OSC_PORT=..., ...")
    # Suppressed defaults do not overwrite flags that were given before a subcommand.
    unset = argparse.SUPPRESS
    group.add_argument("--config", metavar="FILE", default=unset, help="YAML file of settings")
    for field in fields_of(Config):
        if names is not None and field.name not in names:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        text = f"{field.description} (default: {_shown(field)})"
        if field.type == "T":
            group.add_argument(
                flag,
                action=argparse.BooleanOptionalAction,
                default=unset,
                help=field.description,
            )
        elif field.type == "j":
            group.add_argument(flag, action="append", metavar="FOLDER", default=unset, help=text)
        else:
            choices = field.choices or None
            metavar = None if choices else field.extra.get("metavar", _METAVARS[field.type])
            group.add_argument(flag, metavar=metavar, choices=choices, default=unset, help=text)


def _shown(field: Field) -> str:
    return str(field.default) if field.default not in ("", ()) else "none"


_METAVARS: Final = {"i": "N", "f": "X", "s": "TEXT"}
