"""Commands that search: words first, then conditions as pairs of name and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from osc_bridge.messages.arguments import as_argument, named_values
from osc_bridge.messages.message import Command
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest
from server.requests.fields import Field, field_named, fields_of

__all__ = ["Search", "from_pairs", "to_pairs"]

S = TypeVar("S", bound=msgspec.Struct)


class Search(Command, frozen=True):
    """A search whose conditions are the fields of a struct, ``query`` the first of them."""

    positional: ClassVar[int | None] = 1
    conditions: ClassVar[type[msgspec.Struct]]
    search: Any

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        """The words by position, the other conditions as ``name value``."""
        return fields_of(cls.conditions)

    @classmethod
    def usage(cls) -> str:
        """The names of the arguments, optional ones in brackets."""
        return "[query] [name value]..."

    @classmethod
    def from_osc(cls, arguments: Sequence[Argument]) -> Self:
        """Parse the arguments.

        Raises:
            InvalidRequest: a name is unknown, or a value is out of range.
        """
        words = {"query": arguments[0]} if arguments else {}
        pairs = named_values(cls.address, arguments[1:], "the query")
        return cls(from_pairs(cls.address, cls.conditions, words, pairs))

    def to_osc(self) -> OscMessage:
        """The shortest message for this search: defaults are left out."""
        return OscMessage(
            self.address, [self.search.query, *to_pairs(self.search, besides="query")]
        )


def from_pairs(
    address: str,
    kind: type[S],
    first: Mapping[str, Argument],
    pairs: Sequence[tuple[str, Argument]],
) -> S:
    """A ``kind`` from arguments by name.

    Raises:
        InvalidRequest: a name is unknown, or a value is out of range.
    """
    values: dict[str, Any] = {}
    for name, value in (*first.items(), *pairs):
        field = field_named(kind, name)
        values[field.name] = field.coerce(value)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        name = str(error).partition(" - at `$.")[2].rstrip("`")
        known = name in {field.name for field in fields_of(kind)}
        refusal = field_named(kind, name).refusal(values.get(name)) if known else str(error)
        raise InvalidRequest(f"{address}: {refusal}") from error


def to_pairs(values: msgspec.Struct, besides: str = "") -> list[Argument]:
    """Names and values of the fields of ``values`` that are not the default."""
    pairs: list[Argument] = []
    for field in fields_of(type(values)):
        value = getattr(values, field.name)
        if field.name != besides and value != field.default:
            pairs += [field.name, as_argument(field, value)]
    return pairs
