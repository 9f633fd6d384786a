"""The base of all OSC messages: a frozen struct whose fields are the arguments, in order.

A :class:`Command` is sent by a client, a :class:`Reply` by the server. The first line of the
docstring describes the address.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import msgspec

from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest
from server.requests.fields import Field, fields_of

__all__ = ["Command", "Message", "Reply"]


class Message(msgspec.Struct, frozen=True):
    """One OSC message with named, typed and ranged arguments."""

    address: ClassVar[str] = ""

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        """The arguments in order."""
        return fields_of(cls)

    @classmethod
    def description(cls) -> str:
        """What the address does, in one line."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @classmethod
    def from_osc(cls, arguments: Sequence[Argument]) -> Self:
        """Parse arguments; floats are accepted for integers.

        Raises:
            InvalidRequest: there are too many or too few, or one is of the wrong type or range.
        """
        fields = cls.arguments()
        if not fields and len(arguments) == 1 and arguments[0] in _PRESSED:
            arguments = ()
        required = sum(field.required for field in fields)
        if not required <= len(arguments) <= len(fields):
            raise InvalidRequest(
                f"{cls.address} takes {cls.usage() or 'no arguments'}; got {len(arguments)}"
            )
        values = {f.name: f.coerce(a) for f, a in zip(fields, arguments, strict=False)}
        try:
            return msgspec.convert(values, cls, builtin_types=(bytes,))
        except msgspec.ValidationError as error:
            raise InvalidRequest(_explain(cls, values, error)) from error

    @classmethod
    def usage(cls) -> str:
        """The names of the arguments, optional ones in brackets."""
        return " ".join(f.name if f.required else f"[{f.name}]" for f in cls.arguments())

    def to_osc(self) -> OscMessage:
        """The message as it is sent: booleans as 1 and 0, which every client understands."""
        values = (getattr(self, name) for name in self.__struct_fields__)
        return OscMessage(self.address, [int(v) if isinstance(v, bool) else v for v in values])


class Command(Message, frozen=True):
    """From a client to the server."""

    replies: ClassVar[tuple[type[Message], ...]] = ()
    """The answers to the sender; every command may also be answered by /ldm/error."""
    takes_time: ClassVar[bool] = False
    """True where the handler gets the message before the time of its bundle, with that time."""
    positional: ClassVar[int | None] = None
    """How many arguments have a place; the others follow as ``name value``. None: all."""


class Reply(Message, frozen=True):
    """From the server to a client."""


_PRESSED: Final = (None, True, 1)
"""What a control surface's button sends to an address without arguments."""


def _explain(cls: type[Message], values: dict[str, Any], error: msgspec.ValidationError) -> str:
    name = str(error).partition(" - at `$.")[2].rstrip("`")
    for field in cls.arguments():
        if field.name == name:
            return f"{cls.address}: {field.refusal(values.get(name))}"
    return f"{cls.address}: {error}"
