"""Messages about models: list, add, load and unload them.

A job names its model itself: ``/ldm/text a "rain" model mine``, or ``/ldm/set/model mine``.

>>> ModelLoad("mine").to_osc()
OscMessage('/ldm/model/load', 'mine')
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from osc_bridge.messages.message import Command, Message, Reply

__all__ = [
    "ModelAdd",
    "ModelEntry",
    "ModelList",
    "ModelListed",
    "ModelLoad",
    "ModelNotice",
    "ModelProgress",
    "ModelState",
    "ModelUnload",
]

ModelName = Annotated[str, Meta(min_length=1, max_length=200, description="name of the model")]
State = Annotated[
    str, Meta(description="adding, unloaded, waiting, loading, loaded, unloading or failed")
]
Reason = Annotated[
    str, Meta(description="why it could not be added or loaded; empty where it could")
]


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


class ModelProgress(Reply, frozen=True):
    """How far a model is that is added or loaded; sent to the client that asked for it."""

    address: ClassVar[str] = "/ldm/model/progress"
    name: ModelName
    stage: Annotated[str, Meta(description="asking, downloading, checking, converting or loading")]
    share: Annotated[float, Meta(ge=0.0, le=1.0, description="how much of the stage is done")]
    left_s: Annotated[
        float,
        Meta(ge=0.0, description="time left for the stage (0: unknown)", extra={"unit": "s"}),
    ]


class ModelAdd(Command, frozen=True):
    """Download a published model while the program runs; progress and states follow."""

    address: ClassVar[str] = "/ldm/model/add"
    replies: ClassVar[tuple[type[Message], ...]] = (ModelState, ModelProgress)
    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="published name, or id of a repository on the Hugging Face Hub",
        ),
    ]
    accept_licence: Annotated[
        bool, Meta(description="the licence of the weights is accepted (1); else it is refused")
    ] = False


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
