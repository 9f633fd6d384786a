"""The folders that clients may name: where takes are written and which files are read.

Takes are written, and files sent, only within the allowed folders. A client on this machine may
name clips anywhere, such as the recordings of a DAW.

A path is resolved (``..`` and symbolic links included) before it is compared with the allowed
folders, and once more after its spelling has been looked up or folders have been made.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from server.errors import Forbidden, InvalidRequest, NotFound, StorageFull
from server.file_names import existing, path_of

__all__ = ["AllowedFolders"]

_QUOTES: Final = ("'", '"')


class AllowedFolders:
    """Checks the paths that clients name.

    Args:
        roots: the allowed folders; the first one is the takes folder, made when needed.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        if not roots:
            raise InvalidRequest("at least one folder must be allowed")
        self._roots = tuple(root.expanduser().resolve() for root in roots)

    @property
    def takes_folder(self) -> Path:
        """Where takes are written by default."""
        return self._roots[0]

    @property
    def roots(self) -> tuple[Path, ...]:
        """All allowed folders, resolved."""
        return self._roots

    def folder(self, name: str) -> Path:
        """The folder ``name``, made if missing; relative to the takes folder.

        Raises:
            Forbidden: it is outside the allowed folders.
            InvalidRequest: it is not a folder name, or cannot be made.
        """
        path = self._found(name)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(f"folder {name!r} cannot be made: {error.strerror}") from error
        return self._checked(path.resolve(), name)

    def file(self, name: str, *, anywhere: bool = False) -> Path:
        """An existing regular file; with ``anywhere`` also outside the allowed folders.

        Raises:
            Forbidden: it is outside the allowed folders.
            NotFound: no such file.
        """
        path = self._found(name, anywhere=anywhere)
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises in closed folders
            around = "; leave out the quotes around it" if name[:1] in _QUOTES else ""
            raise NotFound(f"{name!r} is not a file{around}")
        return path

    def new_part(self, name: str) -> Path:
        """A new hidden file in the uploads folder, for an upload that is still arriving.

        Raises:
            StorageFull: it cannot be made.
        """
        path = self.folder("uploads") / f".{secrets.token_hex(8)}{Path(name).suffix}.part"
        try:
            path.touch(exist_ok=False)
        except OSError as error:
            raise StorageFull(f"the upload cannot be kept: {error.strerror}") from error
        return path

    def _found(self, name: str, *, anywhere: bool = False) -> Path:
        """The path that ``name`` means, as the disk spells it, in an allowed folder."""
        path = self._resolved(path_of(name), name)
        if not anywhere:
            self._checked(path, name)
        path = self._resolved(existing(path), name)
        return path if anywhere else self._checked(path, name)

    def _resolved(self, path: Path, name: str) -> Path:
        try:
            return (self._roots[0] / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InvalidRequest(f"{name!r} is not a path: {error}") from error

    def _checked(self, path: Path, name: str) -> Path:
        if any(path.is_relative_to(root) for root in self._roots):
            return path
        allowed = ", ".join(map(str, self._roots))
        raise Forbidden(f"{name!r} is outside the allowed folders ({allowed}); see allowed_folders")
