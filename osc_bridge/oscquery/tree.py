"""The address table as an OSCQuery tree (OSCQuery proposal, version 1.0).

>>> from osc_bridge.messages.addresses import TABLE
>>> node = node_at(tree_of(TABLE, lambda command: None), "/ldm/set/guidance_scale")
>>> node["TYPE"], node["RANGE"]
('f', [{'MIN': 0.0, 'MAX': 50.0}])
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from osc_bridge.messages.addresses import AddressTable, type_tag
from osc_bridge.messages.message import Command, Message
from osc_bridge.messages.requests.submissions import Submission
from osc_bridge.messages.settings import Set
from server.errors import NotFound
from server.requests.fields import Field

__all__ = ["ATTRIBUTES", "Access", "Node", "node_at", "tree_of"]

Node = dict[str, Any]

ATTRIBUTES: Final = (
    "ACCESS",
    "CONTENTS",
    "CRITICAL",
    "DESCRIPTION",
    "EXTENDED_TYPE",
    "FULL_PATH",
    "RANGE",
    "TYPE",
    "UNIT",
    "VALUE",
)
_INT32: Final = (-(2**31), 2**31 - 1)


class Access(IntEnum):
    """What a client may do with a node."""

    NONE = 0
    READ = 1
    WRITE = 2
    READ_WRITE = 3


def tree_of(table: AddressTable, value_of: Callable[[type[Message]], list[Any] | None]) -> Node:
    """The root node; ``value_of`` gives the current arguments of a message, or None."""
    root: Node = {"FULL_PATH": "/", "ACCESS": int(Access.NONE), "CONTENTS": {}}
    for message in (*table.commands, *table.replies):
        _place(root, message.address).update(_described(message, value_of(message)))
    return root


def node_at(root: Node, path: str) -> Node:
    """The node at ``path``.

    Raises:
        NotFound: there is none.
    """
    node = root
    for part in path.strip("/").split("/") if path.strip("/") else ():
        contents = node.get("CONTENTS", {})
        if part not in contents:
            raise NotFound(f"{path}: no such OSC address")
        node = contents[part]
    return node


def _place(root: Node, address: str) -> Node:
    """The node of ``address``, with the containers above it."""
    node, path = root, ""
    for part in address.strip("/").split("/"):
        path += f"/{part}"
        contents = node.setdefault("CONTENTS", {})
        node = contents.setdefault(part, {"FULL_PATH": path, "ACCESS": int(Access.NONE)})
    return node


def _described(message: type[Message], value: list[Any] | None) -> Node:
    arguments = message.arguments()
    if issubclass(message, Command):
        arguments = arguments[
            : message.positional
        ]  # the pairs after them are optional, and have nodes of their own
    node: Node = {
        "DESCRIPTION": message.description(),
        "ACCESS": int(_access(message, value)),
        "TYPE": "".join(_type(message, field) for field in arguments) or "N",
    }
    if arguments:
        node["RANGE"] = [_range(message, field) for field in arguments]
        node["EXTENDED_TYPE"] = [field.description or field.name for field in arguments]
        if any(field.unit for field in arguments):
            node["UNIT"] = [field.unit for field in arguments]
    if value is not None:
        node["VALUE"] = value
    if issubclass(message, Submission):
        node["CRITICAL"] = True  # to be sent over TCP where possible
    return node


def _access(message: type[Message], value: list[Any] | None) -> Access:
    if issubclass(message, Set) or (issubclass(message, Command) and value is not None):
        return Access.READ_WRITE
    return Access.WRITE if issubclass(message, Command) else Access.READ


def _type(message: type[Message], field: Field) -> str:
    """As in the address table, but ``T`` for what a control surface shows as a switch."""
    return "T" if field.type == "T" and issubclass(message, Command) else type_tag(field)


def _range(message: type[Message], field: Field) -> Node:
    if field.choices:
        return {"VALS": list(field.choices)}
    limits: Node = {}
    kind = _type(message, field)
    low, high = field.low, field.high
    if kind == "i":
        low = None if low is None else max(int(low), _INT32[0])
        high = None if high is None else min(int(high), _INT32[1])
    if low is not None:
        limits["MIN"] = low
    if high is not None:
        limits["MAX"] = high
    return limits
