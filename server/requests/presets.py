"""Named settings: one YAML file each, in the package and in the user's own folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from server.errors import InvalidRequest, NotFound
from server.requests.request import parse_request

__all__ = ["Preset", "find_preset", "list_presets", "parse_preset"]

log = logging.getLogger("audioldm.presets")


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that is worth keeping; a clip's name is left out."""

    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    request: dict[str, Any]

    @property
    def kind(self) -> str:
        """Which request it is."""
        return str(self.request.get("kind", "text"))

    def values(self) -> Iterator[tuple[str, Any]]:
        """Its values under the names of the fields, with dots as in ``delivery.channels``."""
        return _flat({name: v for name, v in self.request.items() if name != "kind"})


def list_presets(own: Path | None = None) -> list[Preset]:
    """All presets that can be read, by name; one's own hide those of the package."""
    found: dict[str, Preset] = {}
    for path in _files(own):
        try:
            preset = _read(path)
            found[preset.name] = preset
        except InvalidRequest as error:
            log.warning("%s", error)
    return [found[name] for name in sorted(found)]


def find_preset(name: str, own: Path | None = None) -> Preset:
    """The preset of that name.

    Raises:
        NotFound: there is none.
    """
    for preset in list_presets(own):
        if preset.name == name:
            return preset
    raise NotFound(f"no preset {name[:100]!r}")


def _files(own: Path | None) -> Iterable[Path]:
    for folder in (Path(str(files("presets"))), own):
        if folder is not None and folder.is_dir():
            yield from sorted(folder.glob("*.yaml"))


def parse_preset(text: bytes) -> Preset:
    """A preset from YAML.

    Raises:
        InvalidRequest: it cannot be understood, or its request is none.
    """
    try:
        preset = msgspec.yaml.decode(text, type=Preset)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(str(error)) from error
    parse_request({"clip": "clip.wav", **preset.request} if _has_clip(preset) else preset.request)
    return preset


def _read(path: Path) -> Preset:
    try:
        return parse_preset(path.read_bytes())
    except (OSError, InvalidRequest) as error:
        raise InvalidRequest(f"preset {path}: {error}") from error


def _has_clip(preset: Preset) -> bool:
    return preset.kind not in ("text", "morph")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
