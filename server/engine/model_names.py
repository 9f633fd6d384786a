"""The names that jobs call models by."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from pathlib import Path

from server.model.manifest import Manifest

__all__ = ["named_folders", "unused_name", "url_name"]


def named_folders(folders: Sequence[Path]) -> dict[str, Path]:
    """Names that fit into a URL: the manifests' own, numbered where two are alike."""
    named: dict[str, Path] = {}
    digests: set[str] = set()
    for folder in folders:
        manifest = Manifest.load(folder)
        if manifest.digest in digests:
            continue  # the same model once more
        digests.add(manifest.digest)
        named[unused_name(url_name(manifest), named)] = folder
    return named


def url_name(manifest: Manifest) -> str:
    """The manifest's own name, as it fits into a URL."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", manifest.name).strip("-.") or "model"


def unused_name(name: str, taken: Container[str]) -> str:
    """``name``, numbered where it is ``taken``."""
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique
