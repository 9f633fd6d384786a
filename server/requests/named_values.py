"""Values of a request as clients name and write them: ``sample_rate``, ``"3"``, ``"1:30"``.

>>> from server.requests.request import TextToAudio
>>> by_field(TextToAudio, {"seed": "3", "seconds": "0:02", "sample_rate": 44100})
{'seed': 3, 'audio_length_in_s': 2.0, 'delivery': {'sample_rate': 44100}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from server.errors import InvalidRequest
from server.requests.fields import field_named, fields_of, nested

__all__ = ["by_field"]


def by_field(kind: type[msgspec.Struct], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the full names of the fields of ``kind``, converted to their types.

    None means the default. What is no field stays as it is.

    Raises:
        InvalidRequest: a value of a wrong type, or one that is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in _flat(kind, values):
        try:
            field = field_named(kind, name)
        except InvalidRequest:
            found[name] = value
            continue
        if value is None and not field.required:
            continue
        converted = field.coerce(value)
        if type(value) is int and converted == value and field.type == "f":
            converted = value  # refusals repeat what was written: 700, not 700.0
        if found.setdefault(field.name, converted) != converted:
            raise InvalidRequest(
                f"{field.subject} is given twice: {found[field.name]!r} and {converted!r}"
            )
    return nested(found)


def _flat(kind: type[msgspec.Struct], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, those of nested structs by dotted names."""
    groups = {field.name.partition(".")[0] for field in fields_of(kind) if "." in field.name}
    for name, value in values.items():
        if name not in groups:
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{leaf}", inner) for leaf, inner in value.items())
        elif value is not None:
            yield name, value
