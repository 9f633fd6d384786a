"""A client's own defaults for the fields of its requests.

Every field has an address of its own, ``/ldm/set/<field> value``: what a fader or a text box of a
control surface sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

from osc_bridge.messages.arguments import as_argument, check_range
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest
from server.requests.fields import Field

__all__ = ["Set", "SetClear", "Setting"]


class Setting(Reply, frozen=True):
    """The value of a field in this client's requests that do not name one."""

    address: ClassVar[str] = "/ldm/setting"
    name: Annotated[str, Meta(description="name of the field")]
    value: Annotated[Any, Meta(description="its value; empty where it is chosen for each job")]


class SetClear(Command, frozen=True):
    """Forget all values that this client has set."""

    address: ClassVar[str] = "/ldm/settings/clear"


class Set(Command, frozen=True):
    """A client's own default for one field of its requests."""

    field: ClassVar[Field]
    replies: ClassVar[tuple[type[Message], ...]] = (Setting,)
    value: Any = None
    given: bool = False

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        """The value; without one, the current value is answered."""
        return (msgspec.structs.replace(cls.field, name="value", required=False),)

    @classmethod
    def from_osc(cls, arguments: Sequence[Argument]) -> Self:
        """Parse a value and check it against its range.

        Raises:
            InvalidRequest: there is more than one, or it is of the wrong type or range.
        """
        if len(arguments) > 1:
            raise InvalidRequest(f"{cls.address} takes one value; got {len(arguments)}")
        if not arguments:
            return cls()
        value = cls.field.coerce(arguments[0])
        check_range(cls.field, value)
        return cls(value, True)

    def to_osc(self) -> OscMessage:
        """The message that sets this value."""
        return OscMessage(self.address, [as_argument(self.field, self.value)] if self.given else [])
