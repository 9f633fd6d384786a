"""Names of models that fit into a URL: the manifests' own, numbered where two are alike."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from pathlib import Path

from server.model.manifest import Manifest

__all__ = ["named_folders", "unused_name"]


def named_folders(folders: Sequence[Path]) -> dict[str, Path]:
    """The model folders by name, each model once."""
    named: dict[str, Path] = {}
    digests: set[str] = set()
    for folder in folders:
        manifest = Manifest.load(folder)
        if manifest.digest not in digests:
            digests.add(manifest.digest)
            named[unused_name(manifest, named)] = folder
    return named


def unused_name(manifest: Manifest, taken: Container[str]) -> str:
    """A name for a model that none of ``taken`` has."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", manifest.name).strip("-.") or "model"
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique
