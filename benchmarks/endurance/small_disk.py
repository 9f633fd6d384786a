"""A small disk that can be filled and made read-only, for one server.

A tmpfs in a mount namespace that nobody else sees; Linux, as root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["SmallDisk", "small_disk"]

_MIB: Final = 2**20


class SmallDisk:
    """A disk that programs started by ``within`` see at ``folder``; this process sees ``path``."""

    def __init__(self, holder: int, folder: Path) -> None:
        self.within = ("nsenter", "-t", str(holder), "-m", "--")
        self.path = Path(f"/proc/{holder}/root") / folder.absolute().relative_to("/")
        self._folder = folder
        self._ballast = self.path / "ballast"

    @property
    def free(self) -> int:
        """Free bytes."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_mib: int = 0) -> None:
        """Fill the disk up to ``left`` free bytes."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (_MIB, 4096):
                while self.free >= leave_mib * _MIB + size:
                    ballast.write(bytes(size))

    def make_room(self) -> None:
        """Undo :meth:`fill`."""
        self._ballast.unlink(missing_ok=True)

    def read_only(self, yes: bool) -> None:
        """Remount read-only; no file may be open for writing."""
        mode = f"remount,{'ro' if yes else 'rw'}"
        subprocess.run([*self.within, "mount", "-o", mode, str(self._folder)], check=True)


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[SmallDisk]:
    """A disk of that size at ``folder`` while the block runs.

    Raises:
        PermissionError: mounting is not allowed here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={mib}m tmpfs "$0" && echo mounted && exec sleep infinity'
    if sys.platform != "linux":
        raise PermissionError("mounting a small disk is tried on Linux only")
    holder = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            assert holder.stderr is not None
            raise PermissionError(holder.stderr.read().decode().strip())
        yield SmallDisk(holder.pid, folder)
    finally:
        holder.kill()
        holder.communicate()
