"""The models on this disk: listed, verified, removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from server.config import built_in_model
from server.errors import Forbidden, ModelError, NotFound
from server.model.manifest import Manifest
from server.model.memory import memory_needed

__all__ = ["Installed", "find_installed", "installed", "remove_model"]


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A model folder, and what it takes."""

    name: str
    folder: Path
    manifest: Manifest
    default: bool = False

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(entry.bytes for entry in self.manifest.files.values())

    @property
    def memory_bytes(self) -> int:
        """What one worker needs."""
        return memory_needed(self.manifest)


def installed(folders: Sequence[Path]) -> Iterator[Installed | ModelError]:
    """The models in ``folders``, the default first; an error for each that cannot be used."""
    for place, folder in enumerate(folders):
        try:
            manifest = Manifest.load(folder)
        except ModelError as error:
            yield error
            continue
        yield Installed(name=manifest.name, folder=folder, manifest=manifest, default=place == 0)


def find_installed(folders: Sequence[Path], name: str) -> Installed:
    """The model of that name or in that folder.

    Raises:
        NotFound: there is none.
    """
    found = [entry for entry in installed(folders) if isinstance(entry, Installed)]
    for entry in found:
        if name in (entry.name, entry.folder.name, str(entry.folder)):
            return entry
        if name == "built-in" and entry.folder == built_in_model():
            return entry
    raise NotFound(f"no model {name!r}; there are {', '.join(entry.name for entry in found)}")


def remove_model(model: Installed, models_folder: Path) -> int:
    """Delete a model that was added; returns the bytes that are free again.

    Raises:
        Forbidden: it is not in the folder of models.
    """
    if model.folder.absolute().parent != models_folder.absolute():
        raise Forbidden(
            f"{model.name} is in {model.folder.parent}, not in {models_folder}; delete it yourself"
        )
    own = [path for path in model.folder.iterdir() if path.stat().st_nlink == 1]
    freed = sum(path.stat().st_size for path in own)
    shutil.rmtree(model.folder)
    return freed
