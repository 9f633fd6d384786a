"""Optional parts of the program, and how a message says to install them."""

from __future__ import annotations

__all__ = ["install_again", "install_extra"]

_WHERE = "in the clone of audioldm-daw"


def install_extra(extra: str) -> str:
    """What installs an extra of ``pyproject.toml``.

    >>> install_extra("harp")
    "in the clone of audioldm-daw: pip install -e '.[harp]'"
    """
    return f"{_WHERE}: pip install -e '.[{extra}]'"


def install_again() -> str:
    """What repairs an installation."""
    return f"{_WHERE}: pip install --force-reinstall -e ."
