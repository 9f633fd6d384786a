"""The fields of a struct as data: name, label, type, range, unit, description, default.

Flags, OSC arguments, the OSCQuery tree, the panel, HARP cards and the sentences of errors are made
from them. So each field is described once, where it is declared. Nested structs are flattened to
dotted names:

>>> from server.requests.request import TextToAudio
>>> [field.name for field in fields_of(TextToAudio) if field.unit == "s"]
['delivery.fade_in_s', 'delivery.fade_out_s', 'audio_length_in_s']
>>> field_named(TextToAudio, "delivery.sample_rate").range
'8000 to 192000 Hz'
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import inspect as msgspec_inspect

from server.errors import InvalidRequest
from server.json_errors import NOT_JSON
from server.requests.coercion import COERCE, EXPECTED, beats_of_metre, clock_seconds

__all__ = ["Field", "field_named", "fields_of", "file_fields", "nested"]

_INT32: Final = 2**31 - 1
_MAX_SHOWN: Final = 80
"""Characters of a refused value that an error repeats."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value that a struct takes."""

    name: str
    """Dotted where structs are nested: ``delivery.sample_rate``."""
    type: str
    """``i`` int, ``f`` float, ``s`` string, ``b`` bytes, ``T`` yes or no, ``j`` JSON text."""
    low: float | None = None
    high: float | None = None
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    label: str = ""
    """Name for people: ``Steps``. Every field of a request has one."""
    description: str = ""
    required: bool = True
    default: Any = None
    extra: dict[str, Any] = {}
    """Everything else in the declaration's ``Meta(extra=...)``."""

    @property
    def range(self) -> str:
        """The allowed values in words; empty where there is no limit."""
        if self.choices:
            return ", ".join(filter(None, self.choices))
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{_number(self.low)} to {_number(self.high)}{unit}"
        if self.low is not None:
            return f"at least {_number(self.low)}{unit}"
        if self.high is not None:
            return f"at most {_number(self.high)}{unit}"
        return unit.strip()

    def coerce(self, value: Any) -> Any:
        """Convert ``value`` to the field's type, without loss: 3.0 becomes 3, "1:30" becomes 90 s.

        None means the default. So does empty text, unless the field itself is text.

        Raises:
            InvalidRequest: the value has another type.
        """
        unset = value is None or (value == "" and self.type != "s")
        if unset and not self.required:
            return self.default
        try:
            notated = self._notated(value)
            return COERCE[self.type](value) if notated is None else notated
        except (TypeError, ValueError, OverflowError, *NOT_JSON) as error:
            raise InvalidRequest(self.refusal(value)) from error

    def _notated(self, value: Any) -> float | None:
        """The number that text in the notation of music and of hosts means; None for others."""
        if self.type == "f" and isinstance(value, str):
            if self.unit == "s" and ":" in value:
                return clock_seconds(value)
            if self.extra.get("metre") and "/" in value:
                return beats_of_metre(value)
        return None

    def refusal(self, value: Any) -> str:
        """Say what is wrong with ``value``, what is allowed, and what to do.

        >>> from server.requests.request import TextToAudio
        >>> field_named(TextToAudio, "audio_length_in_s").refusal(0.1)
        'length must be at least 0.3 s (got 0.1)'
        >>> field_named(TextToAudio, "num_inference_steps").refusal("many")
        "steps must be a whole number from 1 to 1000 (got 'many')"
        """
        hint = f"; {self.extra['hint']}" if "hint" in self.extra else ""
        if self.max_length is not None and isinstance(value, str) and len(value) > self.max_length:
            return f"{self.subject} must have at most {self.max_length} characters{hint}"
        if value == "" and self.description:
            return f"{self.subject} is empty: {self.description}"
        return f"{self.subject} must be {self._requirement(value)} (got {_shortened(value)}){hint}"

    @property
    def subject(self) -> str:
        """The label, or else the name, as the subject of a sentence."""
        return self.label[:1].lower() + self.label[1:] or self.name

    def _requirement(self, value: Any) -> str:
        unit = f" {self.unit}" if self.unit else ""
        number = _as_number(value, self.type)
        if number is not None and self.low is not None and number < self.low:
            return f"at least {_number(self.low)}{unit}"
        if number is not None and self.high is not None and number > self.high:
            return f"at most {_number(self.high)}{unit}"
        if self.choices:
            return f"one of {self.range}"
        if self.low is None or self.high is None:
            return EXPECTED[self.type]
        if self.high > _INT32:
            return f"{EXPECTED[self.type]}, {_number(self.low)} or more"
        return f"{EXPECTED[self.type]} from {self.range}"


@cache
def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """All fields of ``struct`` in the order of declaration, nested ones flattened."""
    info = msgspec_inspect.type_info(struct)
    assert isinstance(info, msgspec_inspect.StructType)
    return tuple(_flatten(info, ""))


def file_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Names of the fields of a request that name files."""
    return tuple(field.name for field in fields_of(kind) if field.extra.get("file"))


def field_named(struct: type[msgspec.Struct], name: str) -> Field:
    """The field called ``name``, by its flag, or by the last part of its name if that is unique.

    Raises:
        InvalidRequest: no field has that name, or several have.
    """
    fields = fields_of(struct)
    found = [f for f in fields if f.name == name] or [
        f for f in fields if name in (f.name.rpartition(".")[2], f.extra.get("flag"))
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f.name for f in found or fields)
    raise InvalidRequest(f"{name!r} is {'ambiguous' if found else 'no field'}; there are {names}")


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name as nested dictionaries.

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
    """The structs of a type, which may be a union; empty for plain values."""
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
        label=str(extra.get("label", "")),
        description=str(schema.get("description", "")),
        required=declared.required,
        default=None if default is msgspec.NODEFAULT else default,
        extra=extra,
    )


def _bare(declared: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A type without annotations and without "or None"; its schema and its extra annotations."""
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


def _as_number(value: Any, type_character: str) -> float | None:
    """``value`` as a number, if the field is numeric and the value has its type."""
    if type_character not in ("i", "f"):
        return None
    try:
        return float(COERCE[type_character](value))
    except (TypeError, ValueError, OverflowError):
        return None


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
