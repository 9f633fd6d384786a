"""How a program that is started again finds the audio process of the one that died.

The state folder holds ``audio.json``, which says what plays, and ``audio.lock``, which is locked by
the program that owns it. A second program with the same folder leaves both alone.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from osc_bridge.audio.arena import Arena, Gauge
from osc_bridge.audio.device import Playing
from server.json_errors import NOT_JSON

__all__ = ["Handover"]

log = logging.getLogger("audioldm.audio")

_LOOK_S: Final = 0.5
"""A process that plays asks for a block within this time."""


class Handover:
    """What is kept of the audio process while it plays, inside the context.

    Args:
        folder: the state folder.
        hold_s: how long the process plays on when this program dies; 0: it is not handed over.
    """

    def __init__(self, folder: Path, hold_s: float) -> None:
        self.found: Playing | None = None
        """The process of a program that has died, which still plays."""
        self.arena: Arena | None = None
        """Its memory."""
        self._file = folder / "audio.json"
        self._lock_path = folder / "audio.lock"
        self._hold_s = hold_s
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Handover:
        """Take over what plays, if anything does."""
        if self._hold_s > 0:
            self._lock = _locked(self._lock_path)
        if self._lock is not None:
            self.found, self.arena = self._look()
        if self.found:
            log.info("an audio process plays on (%s); it is taken over", self.found.opened.name)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def note(self, playing: Playing | None) -> None:
        """Keep what plays now; None: nothing."""
        if self._lock is None:
            return
        try:
            if playing is None:
                self._file.unlink(missing_ok=True)
            else:
                _write(self._file, msgspec.json.encode(playing))
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error.strerror)

    def _look(self) -> tuple[Playing | None, Arena | None]:
        try:
            playing = msgspec.json.decode(self._file.read_bytes(), type=Playing)
            arena = Arena.adopt(Path(playing.arena), playing.shape, playing.stamp)
        except (OSError, ValueError, *NOT_JSON):
            return None, None
        if _plays(arena):
            return playing, arena
        arena.close()
        return None, None


def _plays(arena: Arena) -> bool:
    """Whether a device asks for blocks."""
    before, until_s = int(arena.gauges[Gauge.CALLBACKS]), time.monotonic() + _LOOK_S
    while time.monotonic() < until_s:
        if int(arena.gauges[Gauge.CALLBACKS]) != before:
            return True
        time.sleep(0.01)
    return False


def _locked(path: Path) -> IO[bytes] | None:
    """The open and locked file; None where another program has it, or it cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError:
        return None
    if _try_lock(file):
        return file
    file.close()
    return None


def _try_lock(file: IO[Any]) -> bool:
    """Lock a file until it is closed or this process ends; False where somebody else has."""
    try:
        if os.name == "nt":
            import msvcrt

            lock: Any = msvcrt  # its functions exist on Windows only, for mypy too
            lock.locking(file.fileno(), lock.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)
