"""Messages that start jobs: a request, and where its takes appear.

``/ldm/text request_id prompt [name value]...``: the names are the fields of the request. Nested
ones may be written short (``sample_rate``) where only one field ends so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Self

import msgspec
from msgspec import Meta

from osc_bridge.choices import Quantise
from osc_bridge.messages.arguments import RequestId, as_argument, check_range, named_values
from osc_bridge.messages.jobs import (
    JobAccepted,
    JobBulk,
    JobDone,
    JobFail,
    JobPreview,
    JobProgress,
    JobReceived,
    TakeReply,
)
from osc_bridge.messages.message import Command, Message
from osc_bridge.wire.codec import Argument, OscMessage
from server.errors import InvalidRequest
from server.requests.fields import Field, field_named, fields_of, nested
from server.requests.request import AnyRequest, Request, parse_request

__all__ = ["Press", "Submission", "SubmissionOptions"]

MAX_COMPLETION_BYTES: Final = 65507
"""That of a UDP datagram."""


class SubmissionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a job besides its request."""

    folder: Annotated[
        str, Meta(max_length=4000, description="folder for the takes, inside the allowed folders")
    ] = ""
    retrieve: Annotated[
        bool,
        Meta(
            description="1: play the nearest sound of the library until the first take is there, "
            "then that take; for clients on this machine"
        ),
    ] = False
    quantise: Annotated[
        Quantise, Meta(description="grid on which the take follows the library's sound")
    ] = "bar"
    completion: Annotated[
        bytes,
        Meta(
            max_length=MAX_COMPLETION_BYTES,
            description="an OSC packet that is executed when the job is done",
        ),
    ] = b""


class Submission(Command, frozen=True):
    """A request, sent by a client."""

    kind: ClassVar[type[Request]]
    positional: ClassVar[int | None] = 2
    replies: ClassVar[tuple[type[Message], ...]] = (
        JobReceived,
        JobAccepted,
        JobBulk,
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
        """Request id and prompt by position, the other fields as ``name value``."""
        prompt = msgspec.structs.replace(field_named(cls.kind, "prompt"), required=False)
        named = tuple(f for f in fields_of(cls.kind) if f.name != "prompt")
        return (_REQUEST_ID, prompt, *named, *fields_of(SubmissionOptions))

    @classmethod
    def usage(cls) -> str:
        """The names of the arguments, optional ones in brackets."""
        required = (f"{f.name} <{f.name}>" for f in fields_of(cls.kind) if f.required)
        return " ".join(("[request_id]", "[prompt]", *required, "[name value]..."))

    @classmethod
    def from_osc(
        cls, arguments: Sequence[Argument], settings: Mapping[str, Any] | None = None
    ) -> Self:
        """Parse the arguments; ``settings`` are the client's own defaults, by field name.

        Raises:
            InvalidRequest: a name is unknown, a value is out of range, or two contradict.
        """
        own = {field.name: field for field in fields_of(cls.kind)}
        values = {name: value for name, value in (settings or {}).items() if name in own}
        request_id = _REQUEST_ID.coerce(arguments[0]) if arguments else ""
        if len(request_id) > MAX_REQUEST_ID:
            raise InvalidRequest(f"request_id is longer than {MAX_REQUEST_ID} characters")
        if len(arguments) > 1:
            values["prompt"] = own["prompt"].coerce(arguments[1])
        options: dict[str, Any] = {}
        for name, value in named_values(cls.address, arguments[2:], "request_id and prompt"):
            if name in _OPTIONS:
                options[name] = _OPTIONS[name].coerce(value)
                check_range(_OPTIONS[name], options[name])
            else:
                field = field_named(cls.kind, name)
                values[field.name] = field.coerce(value)
        # None means the default of the model, as leaving the field out does.
        given = {name: value for name, value in values.items() if value is not None}
        tag = cls.kind.__struct_config__.tag
        request = parse_request({"kind": tag, **nested(given)})
        return cls(request_id, request, SubmissionOptions(**options))

    def to_osc(self) -> OscMessage:
        """The shortest message for this request: defaults are left out."""
        pairs: list[Argument] = []
        for field in fields_of(self.kind):
            value = _value_at(self.request, field.name)
            if field.name != "prompt" and value != field.default:
                pairs += [field.name, as_argument(field, value)]
        for field in fields_of(SubmissionOptions):
            if (value := getattr(self.options, field.name)) != field.default:
                pairs += [field.name, value]
        return OscMessage(self.address, [self.request_id, self.request.prompt, *pairs])


class Press(Command, frozen=True):
    """Render with the values that this client has set, as a button of a control surface does."""

    submission: ClassVar[type[Submission]]
    replies: ClassVar[tuple[type[Message], ...]] = Submission.replies[1:]
    pressed: Annotated[
        bool, Meta(description="1 renders; 0 (the button is released) does nothing")
    ] = True


def _value_at(value: Any, name: str) -> Any:
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


MAX_REQUEST_ID: Final = 200
_REQUEST_ID: Final = Field(
    name="request_id",
    type="s",
    max_length=MAX_REQUEST_ID,
    required=False,
    default="",
    description="an id of your choice; repeating a message with it makes no second job",
)
_OPTIONS: Final = {field.name: field for field in fields_of(SubmissionOptions)}
