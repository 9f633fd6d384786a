"""What msgspec raises at bytes that are not the JSON that was asked for."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["NOT_JSON"]

NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Not only DecodeError: strings need not be UTF-8, and brackets may be nested without end."""
