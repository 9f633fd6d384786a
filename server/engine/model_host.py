"""Which models an engine has, and what one can do about them.

An engine that holds several (:class:`server.engine.fleet.Fleet`, or a remote one) is a
:class:`ModelHost`; any other is asked through :func:`models_of` all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from server.engine.engine import Engine, Unlisten
from server.errors import InvalidRequest

__all__ = ["ModelHost", "ModelInfo", "ModelListener", "host_of", "memory_of", "models_of"]


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


@runtime_checkable
class ModelHost(Protocol):
    """An engine with several models; called on its loop, like the engine itself."""

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that loaded models take of each device, and how many they may take."""

    def models(self) -> list[ModelInfo]:
        """All models, the default first."""

    async def load_model(self, name: str) -> ModelInfo:
        """Begin to load a model; ``listen_models`` and ``models`` tell what comes of it.

        Raises:
            NotFound: no such model.
            TooLarge: it can never fit into the budget.
        """

    async def unload_model(self, name: str) -> ModelInfo:
        """Free a model's memory; the next job for it loads it again.

        Raises:
            NotFound: no such model.
            Conflict: it has jobs that are not finished.
        """

    def listen_models(self, listener: ModelListener) -> Unlisten:
        """Call ``listener`` at every change of any model's state."""


def host_of(engine: Engine) -> ModelHost:
    """``engine`` as a host of several models.

    Raises:
        InvalidRequest: it has its one model for good.
    """
    if isinstance(engine, ModelHost):
        return engine
    raise InvalidRequest("this engine has one model, which stays loaded")


def memory_of(engine: Engine) -> tuple[int, int]:
    """Bytes that models take and may take; 0 where nobody counts."""
    return engine.memory if isinstance(engine, ModelHost) else (0, 0)


def models_of(engine: Engine) -> list[ModelInfo]:
    """The models of any engine."""
    if isinstance(engine, ModelHost):
        return engine.models()
    manifest, status = engine.manifest, engine.status()
    return [
        ModelInfo(
            name=manifest.name,
            state="loaded" if status.state == "ready" else "loading",
            default=True,
            providers=status.providers,
            licence=manifest.licence,
            sample_rate=manifest.sample_rate,
            digest=manifest.digest,
            jobs=status.queued + status.running,
        )
    ]
