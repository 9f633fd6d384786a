"""Messages about models: list them, load and unload them.

A job names its model itself: ``/ldm/text a "rain" model mine``, or ``/ldm/set/model mine``.

>>> ModelLoad("mine").to_osc()
OscMessage('/ldm/model/load', 'mine')
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "ModelEntry",
    "ModelList",
    "ModelListed",
    "ModelLoad",
    "ModelNotice",
    "ModelState",
    "ModelUnload",
]

ModelName = Annotated[str, Meta(min_length=1, max_length=200, description="name of the model")]
State = Annotated[str, Meta(description="unloaded, waiting, loading, loaded, unloading or failed")]
Reason = Annotated[str, Meta(description="why it could not be loaded; empty where it could")]


class ModelEntry(Reply, frozen=True):
    """One model; the first one in the list is the default."""

    address: ClassVar[str] = "/ldm/model/entry"
    name: ModelName
    state: State
    memory_mib: Annotated[
        int, Meta(ge=0, description="memory that it needs on a device", extra={"unit": "MiB"})
    ]
    devices: Annotated[str, Meta(description="devices that it runs on, separated by commas")]
    sample_rate: Annotated[int, Meta(description="sample rate of the model", extra={"unit": "Hz"})]
    licence: Annotated[str, Meta(description="licence of the model")]


class ModelListed(Reply, frozen=True):
    """The end of the list of models."""

    address: ClassVar[str] = "/ldm/model/listed"
    num_models: Annotated[int, Meta(ge=0, description="number of models")]


class ModelList(Command, frozen=True):
    """Ask for all models."""

    address: ClassVar[str] = "/ldm/model/list"
    replies: ClassVar[tuple[type[Message], ...]] = (ModelEntry, ModelListed)


class ModelState(Reply, frozen=True):
    """The state of a model."""

    address: ClassVar[str] = "/ldm/model/state"
    name: ModelName
    state: State
    error: Reason


class ModelNotice(Reply, frozen=True):
    """The state of a model changed; sent to clients with notices on (/ldm/notify)."""

    address: ClassVar[str] = "/ldm/notify/model"
    name: ModelName
    state: State
    error: Reason


class ModelLoad(Command, frozen=True):
    """Load a model as soon as there is memory; a job that names the model does the same."""

    address: ClassVar[str] = "/ldm/model/load"
    replies: ClassVar[tuple[type[Message], ...]] = (ModelState,)
    name: ModelName


class ModelUnload(Command, frozen=True):
    """Unload a model and free its memory; the next job for it loads it again."""

    address: ClassVar[str] = "/ldm/model/unload"
    replies: ClassVar[tuple[type[Message], ...]] = (ModelState,)
    name: ModelName
