"""Conversion of values from flags, OSC arguments and forms to the type of a field.

Only lossless conversions are made: 3.0 becomes 3, 3.5 does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

__all__ = ["COERCE", "EXPECTED"]

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


def _int(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
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
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


COERCE: Final[dict[str, Callable[[Any], Any]]] = {
    "i": _int,
    "f": _float,
    "s": _str,
    "T": _bool,
    "b": _bytes,
    "j": _json,
}
"""Conversions by type character; they raise TypeError, ValueError or OverflowError."""
