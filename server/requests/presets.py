"""Presets: named requests in YAML files, of the package and of the user's own folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec

from server.audio.fence.regular import read_regular
from server.errors import AudioLDMError, InvalidRequest
from server.requests.explain import explain
from server.requests.fields import fields_of
from server.requests.name_match import matching
from server.requests.request import REQUESTS, parse_request

__all__ = ["Preset", "find_preset", "list_presets", "parse_preset"]

log = logging.getLogger("audioldm.presets")

_MAX_BYTES: Final = 2**20


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named request, without the name of a clip."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    request: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of the request."""
        return str(self.request.get("kind", "text"))

    def values(self) -> Iterator[tuple[str, Any]]:
        """Values by the dotted names of the fields, as in ``delivery.channels``."""
        return _flat({name: v for name, v in self.request.items() if name != "kind"})


def list_presets(own: Path | None = None) -> list[Preset]:
    """All readable presets by name; the user's own replace those of the package."""
    found: dict[str, Preset] = {}
    for path in _files(own):
        try:
            preset = _read(path)
            found[preset.name] = preset
        except InvalidRequest as error:
            log.warning("%s", error)
    return [found[name] for name in sorted(found)]


def find_preset(name: str, own: Path | None = None) -> Preset:
    """The preset called ``name``, in any spelling.

    Raises:
        NotFound: no preset has that name; the message says which are near.
    """
    presets = {preset.name: preset for preset in list_presets(own)}
    return presets[matching(name, presets, "preset")]


def _files(own: Path | None) -> Iterable[Path]:
    for folder in (Path(str(files("presets"))), own):
        if folder is not None and folder.is_dir():
            yield from sorted(folder.glob("*.yaml"))


def parse_preset(text: bytes) -> Preset:
    """A preset from YAML.

    Raises:
        InvalidRequest: not YAML, or not a preset with a valid request.
    """
    try:
        values = msgspec.yaml.decode(text)
        preset = msgspec.convert(values, Preset)
    except msgspec.ValidationError as error:
        raise InvalidRequest(explain(error, values, Preset)) from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(f"not YAML: {error}") from error
    parse_request({**_clips(preset), **preset.request})
    return preset


def _read(path: Path) -> Preset:
    try:
        return parse_preset(read_regular(path, _MAX_BYTES))
    except AudioLDMError as error:
        raise InvalidRequest(f"preset {path}: {error}") from error


def _clips(preset: Preset) -> dict[str, str]:
    """Names in place of the sounds that a request of this kind needs."""
    kinds = [kind for kind in REQUESTS if kind.__struct_config__.tag == preset.kind]
    needed = [f.name for kind in kinds for f in fields_of(kind) if f.required and "file" in f.extra]
    return dict.fromkeys(needed, "clip.wav")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
