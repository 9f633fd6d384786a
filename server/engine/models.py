"""The models of an engine, as its clients see them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["ModelInfo", "ModelListener"]


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model and how it stands."""

    name: str
    """What jobs name it by."""
    state: str
    """unloaded, waiting (for room in memory), loading, loaded, unloading or failed."""
    default: bool = False
    """It renders the jobs that name no model."""
    memory_bytes: int = 0
    """What it takes of the budget of each device, estimated."""
    devices: tuple[str, ...] = ()
    """Where its workers run, one each; those it would run on where it is not loaded."""
    providers: tuple[str, ...] = ()
    licence: str = ""
    sample_rate: int = 0
    digest: str = ""
    """The identity that takes carry in their recipe."""
    jobs: int = 0
    """Its jobs that are not finished."""
    load_s: float = 0.0
    """How long loading took the last time; 0 where it was not loaded yet."""
    error: str = ""
    """Why it could not be loaded."""


ModelListener = Callable[[ModelInfo], None]
