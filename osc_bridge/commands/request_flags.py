"""Command-line flags made from the request fields, and requests made from the flags.

>>> import argparse
>>> parser = argparse.ArgumentParser()
>>> add_request_flags(parser)
>>> request_from(vars(parser.parse_args(["--steps", "8", "--seed", "3"])), "rain").seed
3
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from server.errors import InvalidRequest
from server.requests.fields import Field, fields_of, nested
from server.requests.presets import Preset
from server.requests.request import REQUESTS, AnyRequest, Request, parse_request

__all__ = ["add_request_flags", "request_from", "with_preset"]

_KINDS: Final[dict[str, type[Request]]] = {
    str(kind.__struct_config__.tag): kind for kind in REQUESTS
}
_SOUNDS: Final = {"clip": "IN", "other": "OTHER"}
_METAVARS: Final = {"i": "N", "f": "X", "s": "TEXT", "T": "0|1", "j": "JSON"}


def add_request_flags(parser: argparse.ArgumentParser, tag: str = "") -> None:
    """Add a flag for every field except the prompt.

    Args:
        parser: of the command.
        tag: the kind of request, whose clips are positional arguments; all kinds where empty.
    """
    group = parser.add_argument_group("request")
    if not tag:
        group.add_argument("--kind", choices=tuple(_KINDS), default="text", help="what to make")
    for field in _fields(tag):
        if tag and field.name in _SOUNDS:
            parser.add_argument(field.name, metavar=_SOUNDS[field.name], help=field.description)
            continue
        leaf = field.name.rpartition(".")[2]
        names = [leaf.replace("_", "-"), *filter(None, [field.extra.get("flag")])]
        # "--loop" alone means yes.
        alone: dict[str, Any] = {"nargs": "?", "const": "1"} if field.type == "T" else {}
        group.add_argument(
            *(f"--{name}" for name in dict.fromkeys(names)),
            **alone,
            dest=field.name,
            action="append" if "repeat" in field.extra else "store",
            metavar=None if field.choices else _METAVARS[field.type],
            choices=field.choices or None,
            help=_help(field),
        )


def with_preset(flags: Mapping[str, Any], preset: Preset) -> dict[str, Any]:
    """The flags, completed by the values of a preset.

    Raises:
        InvalidRequest: the preset is for another kind of request.
    """
    if preset.kind != (flags.get("kind") or "text"):
        raise InvalidRequest(f"preset {preset.name!r}: use it with audioldm-daw {preset.kind}")
    repeated = {field.name for field in _fields() if "repeat" in field.extra}
    values = {name: [v] if name in repeated else v for name, v in preset.values()}
    return {**flags, **{n: v for n, v in values.items() if flags.get(n) in (None, "")}}


def request_from(flags: Mapping[str, Any], prompt: str) -> AnyRequest:
    """The request that the flags describe.

    Raises:
        InvalidRequest: values are out of range or contradict each other, or a flag belongs to
            another kind of request.
    """
    kind = _KINDS[flags.get("kind") or "text"]
    own = {field.name for field in fields_of(kind)}
    values: dict[str, Any] = {"prompt": prompt}
    for field in _fields():
        given = flags.get(field.name)
        if given is None:
            continue
        if field.name not in own:
            tag = kind.__struct_config__.tag
            raise InvalidRequest(f"--{field.name}: a {tag} request has no such field")
        if "repeat" in field.extra:
            given = field.extra["repeat"].join(given)
        values[field.name] = field.coerce(given)
    return parse_request({"kind": kind.__struct_config__.tag, **nested(values)})


def _fields(tag: str = "") -> list[Field]:
    kinds = (_KINDS[tag],) if tag else REQUESTS
    fields = {field.name: field for kind in kinds for field in fields_of(kind)}
    # The prompt has its own argument; --model is the folder of the model that a command loads.
    del fields["prompt"], fields["model"]
    return list(fields.values())


def _help(field: Field) -> str:
    parts = [field.description] if field.description else []
    if field.range and not field.choices:
        parts.append(field.range)
    if field.default not in (None, ""):
        parts.append(f"default {field.default}")
    if "repeat" in field.extra:
        parts.append("may be repeated")
    return ", ".join(parts).replace("%", "%%")
