"""JSON that others wrote: its first bytes, and what msgspec raises where it is none."""

from __future__ import annotations

import codecs
from typing import Final, TypeVar

import msgspec

__all__ = ["NOT_JSON", "without_bom"]

NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Besides DecodeError: strings that are not UTF-8, and brackets nested too deeply."""

Text = TypeVar("Text", bytes, str)


def without_bom(text: Text) -> Text:
    """``text`` without the byte order mark that some editors and shells put in front of UTF-8."""
    if isinstance(text, bytes):
        return text.removeprefix(codecs.BOM_UTF8)
    return text.removeprefix("\ufeff")
