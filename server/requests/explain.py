"""Sentences for people from msgspec's validation errors.

msgspec says ``Expected `float` >= 0.3 - at `$.audio_length_in_s```. With the declaration of the
field this becomes ``length must be at least 0.3 s (got 0.1)``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from server.requests.fields import Field, fields_of

__all__ = ["explain"]

_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_WRONG_TYPE: Final = re.compile(r"Expected `(?P<wanted>[^`]+)`")
_TYPES: Final = {
    "object": "an object with named values",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no (true or false)",
    "null": "nothing",
}


def explain(error: msgspec.ValidationError, values: object, *kinds: type[msgspec.Struct]) -> str:
    """Say which value is wrong, what is allowed and what to do.

    Args:
        error: what msgspec raised.
        values: the plain values that it refused.
        kinds: the struct that was expected, or the members of a tagged union.
    """
    message, _, path = str(error).partition(" - at `$")
    name = path.strip("`").lstrip(".")
    parent = f"{name}." if name else ""
    chosen = _chosen(values, kinds)
    fields = {field.name: field for kind in chosen for field in fields_of(kind)}
    if missing := _MISSING.fullmatch(message):
        return _missing(parent + missing[1], fields, kinds)
    if unknown := _UNKNOWN.fullmatch(message):
        return _unknown(unknown[1], parent, fields)
    value = _value_at(values, name)
    if name in fields:
        return fields[name].refusal(value)
    if name and name == _tag_field(kinds):
        return f"{name} must be one of {', '.join(_tags(kinds))} (got {value!r})"
    wanted = _WRONG_TYPE.match(message)
    if wanted is None:
        return f"{name}: {message}" if name else message
    allowed = " or ".join(
        _TYPES.get(part, part) for part in wanted["wanted"].split(" | ") if part != "null"
    )
    return f"{name or 'it'} must be {allowed}"


def _chosen(
    values: object, kinds: tuple[type[msgspec.Struct], ...]
) -> tuple[type[msgspec.Struct], ...]:
    """The member of a tagged union that ``values`` name; all of them where they name none."""
    tag = values.get(_tag_field(kinds)) if isinstance(values, dict) else None
    return tuple(kind for kind in kinds if kind.__struct_config__.tag == tag) or kinds


def _missing(name: str, fields: dict[str, Field], kinds: tuple[type[msgspec.Struct], ...]) -> str:
    if name == _tag_field(kinds):
        return f"{name} is missing: one of {', '.join(_tags(kinds))}"
    field = fields.get(name)
    if field is None:
        return f"{name} is missing"
    return f"{field.subject} is missing: {field.description or 'it is needed'}"


def _unknown(name: str, parent: str, fields: dict[str, Field]) -> str:
    siblings = [n.removeprefix(parent) for n in fields if n.startswith(parent)]
    near = difflib.get_close_matches(name, [n.rpartition(".")[2] for n in siblings], n=1)
    hint = f"did you mean {near[0]}? There are" if near else "there are"
    return f"{parent}{name} is no setting here; {hint} {', '.join(sorted(siblings))}"


def _tag_field(kinds: tuple[type[msgspec.Struct], ...]) -> str:
    return next((str(k.__struct_config__.tag_field) for k in kinds if k.__struct_config__.tag), "")


def _tags(kinds: Iterable[type[msgspec.Struct]]) -> list[str]:
    return [str(kind.__struct_config__.tag) for kind in kinds]


def _value_at(values: object, name: str) -> Any:
    value: Any = values
    for part in name.split(".") if name else ():
        value = value.get(part) if isinstance(value, dict) else None
    return value
