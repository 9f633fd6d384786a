"""Message classes made from the request classes.

One submission and one press for each kind of request, one setting for each field.

>>> text = next(s for s in SUBMISSIONS if s.address == "/ldm/text")
>>> message = text.from_osc(["a", "rain on a tin roof", "seed", 3.0, "sample_rate", 44100])
>>> message.request.prompt, message.request.seed, message.request.delivery.sample_rate
('rain on a tin roof', 3, 44100)
>>> message.to_osc()
OscMessage('/ldm/text', 'a', 'rain on a tin roof', 'seed', 3, 'delivery.sample_rate', 44100)
"""

from __future__ import annotations

from typing import Final, TypeVar, cast

import msgspec

from osc_bridge.messages.message import Command
from osc_bridge.messages.requests.submissions import Press, Submission
from osc_bridge.messages.settings import Set
from server.requests.fields import Field, fields_of
from server.requests.request import REQUESTS, Request

__all__ = ["PRESSES", "SETTINGS", "SUBMISSIONS"]


M = TypeVar("M", bound=Command)


def _derived(base: type[M], name: str, doc: str | None, **attributes: object) -> type[M]:
    """A subclass of ``base`` with these class attributes."""
    made = msgspec.defstruct(
        name, [], bases=(base,), namespace={"__doc__": doc, **attributes},
        module=__name__, frozen=True,
    )  # fmt: skip
    return cast(type[M], made)


def _tag(kind: type[Request]) -> str:
    return str(kind.__struct_config__.tag)


def _submission(kind: type[Request]) -> type[Submission]:
    name, address = f"Submit{kind.__name__}", f"/ldm/{_tag(kind)}"
    return _derived(Submission, name, kind.__doc__, kind=kind, address=address)


def _press(submission: type[Submission]) -> type[Press]:
    kind, tag = submission.kind, _tag(submission.kind)
    article = "an" if tag[0] in "aeiou" else "a"
    doc = f"Render {article} {tag} request with the values that this client has set."
    return _derived(
        Press, f"Press{kind.__name__}", doc, submission=submission, address=f"/ldm/press/{tag}"
    )


def _set(field: Field) -> type[Set]:
    doc = f"Set the default for this client's requests: {field.description or field.name}."
    address = "/ldm/set/" + field.name.replace(".", "/")
    return _derived(Set, f"Set_{field.name.replace('.', '_')}", doc, field=field, address=address)


def _all_fields() -> list[Field]:
    """Every field of every request once, in order of appearance."""
    fields: dict[str, Field] = {}
    for kind in REQUESTS:
        for field in fields_of(kind):
            fields.setdefault(field.name, field)
    return list(fields.values())


SUBMISSIONS: Final = tuple(_submission(kind) for kind in REQUESTS)
PRESSES: Final = tuple(_press(submission) for submission in SUBMISSIONS)
SETTINGS: Final = tuple(_set(field) for field in _all_fields())
