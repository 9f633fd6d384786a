"""The fields of a struct as plain facts: name, type, range, unit, description, default.

Flags, OSC arguments and the OSCQuery tree are made from these, so that a field is
described once, where it is declared. Nested structs are flattened with dotted names:

>>> from server.requests.request import TextToAudio
>>> [field.name for field in fields_of(TextToAudio) if field.unit == "s"]
['delivery.fade_in_s', 'delivery.fade_out_s', 'audio_length_in_s']
>>> field_named(TextToAudio, "delivery.sample_rate").range
'8000 to 192000 Hz'
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect as msgspec_inspect

from server.errors import InvalidRequest
from server.json_errors import NOT_JSON

__all__ = ["Field", "field_named", "fields_of", "nested"]

_INT32: Final = 2**31 - 1
_TRUE: Final = {"1": True, "true": True, "yes": True, "on": True}
_FALSE: Final = {"0": False, "false": False, "no": False, "off": False}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value that a struct takes."""

    name: str
    """With dots where structs are nested: ``delivery.sample_rate``."""
    type: str
    """``i`` int, ``f`` float, ``s`` string, ``b`` bytes, ``T`` yes or no, ``j`` JSON text."""
    low: float | None = None
    high: float | None = None
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    description: str = ""
    required: bool = True
    default: Any = None
    extra: dict[str, Any] = {}
    """What else the declaration says (``Meta(extra=...)``)."""

    @property
    def range(self) -> str:
        """The allowed values in words; empty where anything goes."""
        if self.choices:
            return ", ".join(self.choices)
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{_number(self.low)} to {_number(self.high)}{unit}"
        if self.low is not None:
            return f"at least {_number(self.low)}{unit}"
        if self.high is not None:
            return f"at most {_number(self.high)}{unit}"
        return unit.strip()

    def coerce(self, value: Any) -> Any:
        """``value`` as this field's type, where nothing is lost: 3.0 is a fine 3.

        None means the default, as does empty text where text is no value of the field.

        Raises:
            InvalidRequest: naming the field, the value and what was expected.
        """
        unset = value is None or (value == "" and self.type != "s")
        if unset and not self.required:
            return self.default
        try:
            return _COERCE[self.type](value)
        except (TypeError, ValueError, OverflowError, *NOT_JSON) as error:
            expected = f"expected {_EXPECTED[self.type]}" + (
                f" ({self.range})" if self.range else ""
            )
            raise InvalidRequest(f"{self.name} = {value!r}: {expected}") from error


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """All fields of ``struct``, nested ones flattened, in the order of declaration."""
    info = msgspec_inspect.type_info(struct)
    assert isinstance(info, msgspec_inspect.StructType)
    return tuple(_flatten(info, ""))


def field_named(struct: type[msgspec.Struct], name: str) -> Field:
    """The field with that name; the last part of a dotted name will do if only one has it.

    Raises:
        InvalidRequest: no such field; the names that exist are listed.
    """
    fields = fields_of(struct)
    found = [f for f in fields if f.name == name] or [
        f for f in fields if f.name.rpartition(".")[2] == name
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f.name for f in found or fields)
    raise InvalidRequest(f"{name!r} is {'ambiguous' if found else 'no field'}; there are {names}")


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names unfolded.

    >>> nested({"seed": 1, "delivery.channels": 2})
    {'seed': 1, 'delivery': {'channels': 2}}
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _flatten(info: msgspec_inspect.StructType, prefix: str) -> list[Field]:
    fields: list[Field] = []
    for declared in info.fields:
        structs = _structs(declared.type)
        if not structs:
            fields.append(_field(declared, prefix))
            continue
        seen: set[str] = set()
        for struct in structs:
            tag = [_tag(structs, f"{prefix}{declared.name}.")] if struct.tag_field else []
            for field in (*tag, *_flatten(struct, f"{prefix}{declared.name}.")):
                if field.name not in seen:
                    fields.append(msgspec.structs.replace(field, required=False))
                    seen.add(field.name)
    return fields


def _tag(structs: list[msgspec_inspect.StructType], prefix: str) -> Field:
    return Field(
        name=f"{prefix}{structs[0].tag_field}",
        type="s",
        choices=tuple(str(struct.tag) for struct in structs),
        description="which kind",
    )


def _structs(declared: msgspec_inspect.Type) -> list[msgspec_inspect.StructType]:
    """The struct, or the structs of a union, behind a type; none where it is a plain value."""
    types = declared.types if isinstance(declared, msgspec_inspect.UnionType) else (declared,)
    bare = [t.type if isinstance(t, msgspec_inspect.Metadata) else t for t in types]
    return [t for t in bare if isinstance(t, msgspec_inspect.StructType)]


def _field(declared: msgspec_inspect.Field, prefix: str) -> Field:
    bare, schema, extra = _bare(declared.type)
    default = declared.default
    if default is msgspec.NODEFAULT and declared.default_factory is not msgspec.NODEFAULT:
        default = declared.default_factory()
    return Field(
        name=prefix + declared.name,
        type=_type_character(bare),
        low=getattr(bare, "ge", None),
        high=getattr(bare, "le", None),
        max_length=getattr(bare, "max_length", None),
        choices=tuple(map(str, getattr(bare, "values", ()))),
        unit=str(extra.get("unit", "")),
        description=str(schema.get("description", "")),
        required=declared.required,
        default=None if default is msgspec.NODEFAULT else default,
        extra=extra,
    )


def _bare(declared: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A type without its annotations and without "or None", and what the annotations say."""
    schema: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    while True:
        if isinstance(declared, msgspec_inspect.Metadata):
            schema.update(declared.extra_json_schema or {})
            extra.update(declared.extra or {})
            declared = declared.type
        elif isinstance(declared, msgspec_inspect.UnionType):
            types = [t for t in declared.types if not isinstance(t, msgspec_inspect.NoneType)]
            if len(types) != 1:
                return declared, schema, extra
            declared = types[0]
        else:
            return declared, schema, extra


def _type_character(bare: msgspec_inspect.Type) -> str:
    if isinstance(bare, msgspec_inspect.LiteralType | msgspec_inspect.EnumType):
        return "s"
    known: dict[type, str] = {
        msgspec_inspect.BoolType: "T",
        msgspec_inspect.IntType: "i",
        msgspec_inspect.FloatType: "f",
        msgspec_inspect.StrType: "s",
        msgspec_inspect.BytesType: "b",
        msgspec_inspect.CustomType: "s",
    }
    return known.get(type(bare), "j")


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) <= _INT32 and value % 1 else str(int(value))


def _int(value: Any) -> int:
    if isinstance(value, str):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if not math.isfinite(number := float(value)):
        raise ValueError
    return number


def _str(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return str(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        value = {**_TRUE, **_FALSE}.get(value.lower())
    if value not in (0, 1):
        raise ValueError
    return bool(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value


def _json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


_COERCE: Final = {"i": _int, "f": _float, "s": _str, "T": _bool, "b": _bytes, "j": _json}
_EXPECTED: Final = {
    "i": "a whole number",
    "f": "a number",
    "s": "a string",
    "T": "1 or 0",
    "b": "a blob",
    "j": "JSON",
}
