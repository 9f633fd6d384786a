"""Conversion of values from flags, OSC arguments, JSON and forms to the type of a field.

Only lossless conversions are made: 3.0 becomes 3, 3.5 does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from server.json_errors import without_bom

__all__ = ["COERCE", "EXPECTED", "beats_of_metre", "clock_seconds", "is_utf8"]

_TRUE: Final = {"1": True, "true": True, "yes": True, "on": True}
_FALSE: Final = {"0": False, "false": False, "no": False, "off": False}

EXPECTED: Final = {
    "i": "a whole number",
    "f": "a number",
    "s": "text",
    "T": "yes or no (1 or 0)",
    "b": "bytes",
    "j": "JSON",
}
"""What each type is called in a sentence, by its type character."""


_CLOCK: Final = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
_METRE: Final = re.compile(r"(\d{1,2})/(1|2|4|8|16|32)")


def is_utf8(text: str) -> bool:
    """False where bytes that are no UTF-8 came in, as from a terminal with another encoding."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def clock_seconds(text: str) -> float:
    """Seconds from a time as hosts show it.

    >>> clock_seconds("90"), clock_seconds("1:30.5"), clock_seconds("1:00:00")
    (90.0, 90.5, 3600.0)

    Raises:
        ValueError: it is none.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    if found[2] is not None and (seconds >= 60.0 or (found[1] is not None and minutes >= 60.0)):
        raise ValueError(text)
    return 3600.0 * hours + 60.0 * minutes + seconds


def beats_of_metre(text: str) -> float:
    """Quarter notes in a bar of a metre.

    >>> beats_of_metre("4/4"), beats_of_metre("7/8"), beats_of_metre("12/8")
    (4.0, 3.5, 6.0)

    Raises:
        ValueError: it is none.
    """
    found = _METRE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return int(found[1]) * 4.0 / int(found[2])


def _int(value: Any) -> int:
    if isinstance(value, str):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if not math.isfinite(number := float(value)):
        raise ValueError
    return number


def _str(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return str(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        value = {**_TRUE, **_FALSE}.get(value.lower())
    if value not in (0, 1):
        raise ValueError
    return bool(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value


def _json(value: Any) -> Any:
    if isinstance(value, str):
        value = value.encode()
    return msgspec.json.decode(without_bom(value)) if isinstance(value, bytes) else value


COERCE: Final[dict[str, Callable[[Any], Any]]] = {
    "i": _int,
    "f": _float,
    "s": _str,
    "T": _bool,
    "b": _bytes,
    "j": _json,
}
"""Conversions by type character; they raise TypeError, ValueError or OverflowError."""
