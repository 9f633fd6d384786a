"""Names of files, as people write them: paths that are given, and names that are made.

A path may be a ``file://`` URI, may begin with ``~`` and may hold any letter of any script. Only
control characters are refused. A letter with an accent is one character (NFC) or two (NFD), and
programs do not agree: a file is found under both spellings.

>>> path_of("file://localhost/tmp/my%20kick.wav").as_posix()
'/tmp/my kick.wav'
>>> words_of("太鼓のループ, Glöckchen!")
'太鼓のループ-glöckchen'
"""

from __future__ import annotations

import os
import sys
import unicodedata
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from server.errors import InvalidRequest

__all__ = ["existing", "is_same_file", "path_of", "words_of"]

MAX_PATH: Final = 4000
"""Longest path in characters."""
MAX_NAME: Final = 255
"""Longest name of one file or folder: bytes, or UTF-16 units where names are stored as those."""
_MAX_LISTED: Final = 10_000
"""Names of a folder that are compared with one that was not found."""
_WORDS_CHARACTERS: Final = 40
_WORDS_BYTES: Final = 80
_KEPT: Final = ("L", "M", "N", "So")
"""Unicode categories that stay in a file name: letters, marks, numbers, emoji."""
_UNSAFE_ON_WINDOWS: Final = '<>"|?*'


def path_of(name: str) -> Path:
    """The path that ``name`` means.

    Raises:
        InvalidRequest: empty, too long, a control character, or a URI of another machine.
    """
    if not name or len(name) > MAX_PATH:
        raise InvalidRequest(f"a path has 1 to {MAX_PATH} characters (got {len(name)})")
    text = _of_uri(name) if name[:5].lower() == "file:" else name
    _check_characters(text, name)
    if text[:1] == "~" and text[1:2] in ("", "/", os.sep):
        text = str(Path(text).expanduser())
    path = Path(text)
    for part in path.parts:
        size, unit = _size(part)
        if size > MAX_NAME:
            raise InvalidRequest(
                f"{_shown(name)}: the name {_shown(part)} has {size} {unit}; "
                f"a file or folder has at most {MAX_NAME}"
            )
    return path


def existing(path: Path) -> Path:
    """``path`` as the disk spells it: where a part is not there, its other Unicode form may be.

    What is not there in any form stays as it is.
    """
    if os.path.lexists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        found /= part if os.path.lexists(found / part) else _spelling_in(found, part)
    return found


def is_same_file(path: Path, other: Path) -> bool:
    """True where both lead to one file that exists, whatever its names."""
    try:
        return existing(path).samefile(existing(other))
    except OSError:
        return False


def words_of(text: str) -> str:
    """``text`` as a part of a file name: words of any script, joined by hyphens.

    It is safe on all systems: NFC, lower case, no punctuation, at most 80 bytes.
    """
    text = unicodedata.normalize("NFC", text).lower()
    visible = "".join(c for c in text if not _is_invisible(c))
    kept = (c if unicodedata.category(c).startswith(_KEPT) else " " for c in visible)
    words = "-".join("".join(kept).split())
    return unicodedata.normalize("NFC", _shortened(words)).strip("-")


def _of_uri(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc.lower() not in ("", "localhost"):
        raise InvalidRequest(f"{_shown(uri)} is on {parts.netloc}; name a file of this machine")
    # A query or a fragment is a part of the name: people forget to encode ? and #.
    encoded = uri[5:].removeprefix("//").removeprefix(parts.netloc)
    try:
        unquote(encoded, errors="strict")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InvalidRequest(f"{_shown(uri)}: %{byte:02X} is not UTF-8; rename the file") from error
    return url2pathname(encoded)


def _size(part: str) -> tuple[int, str]:
    """The length of a name as the file systems of this machine count it."""
    if sys.platform in ("win32", "darwin"):
        return len(part.encode("utf-16-le")) // 2, "UTF-16 units"
    return len(part.encode()), "bytes"


def _check_characters(text: str, name: str) -> None:
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs":
            raise InvalidRequest(f"{_shown(name)} holds a byte that is not UTF-8; rename the file")
        if category == "Cc":
            raise InvalidRequest(
                f"{_shown(name)} holds the control character {character!r} "
                f"(U+{ord(character):04X}); a path has none"
            )
        if os.name == "nt" and character in _UNSAFE_ON_WINDOWS:
            raise InvalidRequest(f"{_shown(name)} holds {character!r}, which Windows refuses")


def _spelling_in(folder: Path, name: str) -> str:
    """The name in ``folder`` that is ``name`` but for its Unicode form, else ``name``."""
    if name.isascii():
        return name
    wanted = unicodedata.normalize("NFC", name)
    for form in (wanted, unicodedata.normalize("NFD", name)):
        if os.path.lexists(folder / form):
            return form
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MAX_LISTED)]
    except OSError:
        return name
    return next((n for n in names if unicodedata.normalize("NFC", n) == wanted), name)


def _is_invisible(character: str) -> bool:
    """Format characters, such as a joiner or a change of direction, and variation selectors."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _shortened(words: str) -> str:
    """At most as many characters and bytes as a name gets, without half a letter at the end."""
    short = words[:_WORDS_CHARACTERS]
    while len(short.encode(errors="replace")) > _WORDS_BYTES:
        short = short[:-1]
    cut = words[len(short) : len(short) + 1]
    while short and cut and unicodedata.category(cut).startswith("M"):
        short, cut = short[:-1], short[-1]
    return short


def _shown(name: str) -> str:
    text = repr(name)
    return text if len(text) <= 200 else f"{text[:200]}..."
