"""Exceptions of msgspec for bytes that are not the expected JSON."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["NOT_JSON"]

NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Besides DecodeError: strings that are not UTF-8, and brackets nested too deeply."""
