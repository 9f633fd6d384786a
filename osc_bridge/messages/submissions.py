"""The messages that start jobs, made from the request classes: one address a kind.

``/ldm/text request_id prompt [name value]...`` where the names are the request's own fields;
nested ones may be written short (``sample_rate``) where only one field ends so. Every field
also has an address of its own, ``/ldm/set/<field> value``, which sets it for this client's
later requests: what a fader or a text box of a control surface sends.

>>> text = next(s for s in SUBMISSIONS if s.address == "/ldm/text")
>>> message = text.from_osc(["a", "rain on a tin roof", "seed", 3.0, "sample_rate", 44100])
>>> message.request.prompt, message.request.seed, message.request.delivery.sample_rate
('rain on a tin roof', 3, 44100)
>>> message.to_osc()
OscMessage('/ldm/text', 'a', 'rain on a tin roof', 'seed', 3, 'delivery.sample_rate', 44100)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Self, cast

import msgspec
from msgspec import Meta

from osc_bridge.messages.arguments import RequestId
from osc_bridge.messages.jobs import (
    JobAccepted,
    JobDone,
    JobFail,
    JobPreview,
    JobProgress,
    JobReceived,
    TakeReply,
)
from osc_bridge.messages.message import Command, Message
from osc_bridge.messages.settings import Setting
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest
from server.requests.fields import Field, field_named, fields_of, nested
from server.requests.request import REQUESTS, AnyRequest, Request, parse_request

__all__ = ["PRESSES", "SETTINGS", "SUBMISSIONS", "Press", "Set", "Submission", "SubmissionOptions"]


class SubmissionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said about a job besides the request itself."""

    folder: Annotated[
        str, Meta(max_length=4000, description="where the takes shall appear (an allowed folder)")
    ] = ""
    completion: Annotated[
        bytes, Meta(description="an OSC packet that the server executes when the job is done")
    ] = b""


class Submission(Command, frozen=True):
    """A request on its way in."""

    kind: ClassVar[type[Request]]
    replies: ClassVar[tuple[type[Message], ...]] = (
        JobReceived,
        JobAccepted,
        JobProgress,
        JobPreview,
        TakeReply,
        JobDone,
        JobFail,
    )
    request_id: RequestId
    request: AnyRequest
    options: SubmissionOptions = SubmissionOptions()

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        """Request id and prompt by position, everything else as ``name value``."""
        prompt = msgspec.structs.replace(field_named(cls.kind, "prompt"), required=False)
        named = tuple(f for f in fields_of(cls.kind) if f.name != "prompt")
        return (_REQUEST_ID, prompt, *named, *fields_of(SubmissionOptions))

    @classmethod
    def usage(cls) -> str:
        """The arguments' names, optional ones in brackets."""
        required = (f"{f.name} <{f.name}>" for f in fields_of(cls.kind) if f.required)
        return " ".join(("[request_id]", "[prompt]", *required, "[name value]..."))

    @classmethod
    def from_osc(
        cls, arguments: Sequence[Argument], settings: Mapping[str, Any] | None = None
    ) -> Self:
        """The submission; ``settings`` are the client's own defaults, by dotted name.

        Raises:
            InvalidRequest: an unknown name, a value out of range, a contradiction.
        """
        own = {field.name: field for field in fields_of(cls.kind)}
        values = {name: value for name, value in (settings or {}).items() if name in own}
        request_id = _REQUEST_ID.coerce(arguments[0]) if arguments else ""
        if len(request_id) > MAX_REQUEST_ID:
            raise InvalidRequest(f"request_id is longer than {MAX_REQUEST_ID} characters")
        if len(arguments) > 1:
            values["prompt"] = own["prompt"].coerce(arguments[1])
        options: dict[str, Any] = {}
        for name, value in _pairs(cls.address, arguments[2:]):
            if name in _OPTIONS:
                options[name] = _OPTIONS[name].coerce(value)
                _check_range(_OPTIONS[name], options[name])
            else:
                field = field_named(cls.kind, name)
                values[field.name] = field.coerce(value)
        # A value of None means "the model's default", which is also what leaving it out means.
        given = {name: value for name, value in values.items() if value is not None}
        tag = cls.kind.__struct_config__.tag
        request = parse_request({"kind": tag, **nested(given)})
        return cls(request_id, request, SubmissionOptions(**options))

    def to_osc(self) -> OscMessage:
        """The shortest message that says the same."""
        pairs: list[Argument] = []
        for field in fields_of(self.kind):
            value = _value_at(self.request, field.name)
            if field.name != "prompt" and value != field.default:
                pairs += [field.name, _wire(field, value)]
        for field in fields_of(SubmissionOptions):
            if (value := getattr(self.options, field.name)) != field.default:
                pairs += [field.name, value]
        return OscMessage(self.address, [self.request_id, self.request.prompt, *pairs])


class Press(Command, frozen=True):
    """Render with the values that this client has set: a button of a control surface."""

    submission: ClassVar[type[Submission]]
    replies: ClassVar[tuple[type[Message], ...]] = Submission.replies[1:]
    pressed: Annotated[bool, Meta(description="1 renders; 0 (the button let go) does nothing")] = (
        True
    )


class Set(Command, frozen=True):
    """A client's own default for one field of its requests."""

    field: ClassVar[Field]
    replies: ClassVar[tuple[type[Message], ...]] = (Setting,)
    value: Any = None
    given: bool = False

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        """The value; without one, the present value is answered."""
        return (msgspec.structs.replace(cls.field, name="value", required=False),)

    @classmethod
    def from_osc(cls, arguments: Sequence[Argument]) -> Self:
        """The setting, checked alone against its range.

        Raises:
            InvalidRequest: more than one argument, a wrong type, out of range.
        """
        if len(arguments) > 1:
            raise InvalidRequest(f"{cls.address} takes one value; got {len(arguments)}")
        if not arguments:
            return cls()
        value = cls.field.coerce(arguments[0])
        _check_range(cls.field, value)
        return cls(value, True)

    def to_osc(self) -> OscMessage:
        """The message that sets it."""
        return OscMessage(self.address, [_wire(self.field, self.value)] if self.given else [])


def _pairs(address: str, arguments: Sequence[Argument]) -> list[tuple[str, Argument]]:
    if len(arguments) % 2:
        raise InvalidRequest(
            f"{address}: after request_id and prompt come pairs of name and value; "
            f"{arguments[-1]!r} has no partner (a prompt of several words is one string)"
        )
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    for name, _ in pairs:
        if not isinstance(name, str):
            raise InvalidRequest(
                f"{address}: {name!r} stands where a name is expected; "
                "after request_id and prompt come pairs of name and value"
            )
    return pairs


def _check_range(field: Field, value: Any) -> None:
    too_low = field.low is not None and value is not None and value < field.low
    too_high = field.high is not None and value is not None and value > field.high
    unknown = field.choices and value is not None and value not in field.choices
    if too_low or too_high or unknown:
        raise InvalidRequest(field.refusal(value))
    if field.max_length is not None and isinstance(value, str) and len(value) > field.max_length:
        raise InvalidRequest(field.refusal(value))


def _value_at(value: Any, name: str) -> Any:
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _wire(field: Field, value: Any) -> Argument:
    if field.type == "T" and value is not None:
        return int(value)
    if field.type == "j":
        return msgspec.json.encode(value).decode()
    return str(value) if field.type == "s" and value is not None else value


def _submission(kind: type[Request]) -> type[Submission]:
    tag = str(kind.__struct_config__.tag)
    namespace = {"__doc__": kind.__doc__, "kind": kind, "address": f"/ldm/{tag}"}
    made = msgspec.defstruct(
        f"Submit{kind.__name__}",
        [],
        bases=(Submission,),
        namespace=namespace,
        module=__name__,
        frozen=True,
    )
    return cast(type[Submission], made)


def _press(submission: type[Submission]) -> type[Press]:
    tag = str(submission.kind.__struct_config__.tag)
    namespace = {
        "__doc__": f"Render a {tag} request made of the values that this client has set.",
        "submission": submission,
        "address": f"/ldm/press/{tag}",
    }
    made = msgspec.defstruct(
        f"Press{submission.kind.__name__}",
        [],
        bases=(Press,),
        namespace=namespace,
        module=__name__,
        frozen=True,
    )
    return cast(type[Press], made)


def _set(field: Field) -> type[Set]:
    namespace = {
        "__doc__": f"Set for this client's requests: {field.description or field.name}.",
        "field": field,
        "address": "/ldm/set/" + field.name.replace(".", "/"),
    }
    made = msgspec.defstruct(
        f"Set_{field.name.replace('.', '_')}",
        [],
        bases=(Set,),
        namespace=namespace,
        module=__name__,
        frozen=True,
    )
    return cast(type[Set], made)


def _all_fields() -> list[Field]:
    """Every field of every request once, in order of appearance."""
    fields: dict[str, Field] = {}
    for kind in REQUESTS:
        for field in fields_of(kind):
            fields.setdefault(field.name, field)
    return list(fields.values())


MAX_REQUEST_ID: Final = 200
_REQUEST_ID: Final = Field(
    name="request_id",
    type="s",
    max_length=MAX_REQUEST_ID,
    required=False,
    default="",
    description="an id of your choice: a repeated message with it makes no second job",
)
_OPTIONS: Final = {field.name: field for field in fields_of(SubmissionOptions)}
SUBMISSIONS: Final = tuple(_submission(kind) for kind in REQUESTS)
PRESSES: Final = tuple(_press(submission) for submission in SUBMISSIONS)
SETTINGS: Final = tuple(_set(field) for field in _all_fields())
