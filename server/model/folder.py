"""Atomic writing of model folders: complete or not at all.

After a change by hand, of the card or of the defaults, this renews the checksums:

    python -m server.model.folder models/tiny
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from server.errors import InvalidRequest
from server.model.manifest import MANIFEST_FILE, Manifest, StoredFile, describe_file

__all__ = ["remove_staging", "renew", "seal", "staging_folder"]


def seal(
    staging: Path,
    manifest: Manifest,
    precision: str,
    known: Mapping[str, StoredFile] | None = None,
) -> Manifest:
    """Write the manifest of ``staging`` with the checksums of its files, and return it.

    Args:
        staging: the folder.
        manifest: without its files.
        precision: of the weights.
        known: files that were described before.
    """
    described = dict(known or {})
    files = {
        path.name: described.get(path.name) or describe_file(path)
        for path in sorted(staging.iterdir())
    }
    manifest = msgspec.structs.replace(manifest, files=files, precision=precision)
    manifest.save(staging)
    return manifest


def renew(folder: Path, *more: Path) -> Manifest:
    """Write the model folder ``folder`` again as it is, with fresh checksums.

    Args:
        folder: the model folder.
        more: files to add to it, or to put in the place of those of their names.
    """
    manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    with staging_folder(folder) as staging:
        for path in (*(folder / name for name in manifest.files), *more):
            shutil.copyfile(path, staging / path.name)
        return seal(staging, manifest, manifest.precision)


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A new folder that replaces ``folder`` at the end of the block, and is deleted on errors.

    Raises:
        InvalidRequest: ``folder`` exists and is neither empty nor a model folder.
    """
    folder = folder.absolute()
    if folder.exists() and not _replaceable(folder):
        raise InvalidRequest(
            f"{folder} exists and is no model folder; name a new folder or empty this one"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        staging = Path(scratch) / "new"
        staging.mkdir()
        yield staging
        if folder.exists():
            folder.replace(Path(scratch) / "old")
        staging.replace(folder)


def remove_staging(folder: Path) -> None:
    """Delete what a killed process has left of :func:`staging_folder`."""
    for left in folder.parent.glob(f".{folder.name}-????????"):
        if (left / "new").is_dir():
            shutil.rmtree(left, ignore_errors=True)


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and (
        (folder / "manifest.json").is_file() or next(folder.iterdir(), None) is None
    )


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(renew(Path(argument)).digest)
