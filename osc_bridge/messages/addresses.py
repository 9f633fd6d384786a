"""The address table: every OSC address once.

docs/osc.md, ``/ldm/help`` and the OSCQuery tree are made from it.

>>> TABLE.command("/ldm/ping").usage()
'[token]'
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from osc_bridge.messages import (
    files,
    jobs,
    library,
    library_map,
    models,
    notices,
    presets,
    server,
    settings,
    takes,
)
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.messages.requests.generated import PRESSES, SETTINGS, SUBMISSIONS
from osc_bridge.messages.stage import listen, midi, pads, sound, stream, transport
from server.errors import NotFound
from server.requests.fields import Field

__all__ = ["PREFIX", "STAGE", "TABLE", "AddressTable", "declared", "render_markdown", "type_tag"]

PREFIX: Final = "/ldm"


class AddressTable:
    """Message classes by address, in the order in which they are documented."""

    def __init__(self, classes: Iterable[type[Message]]) -> None:
        self._commands: dict[str, type[Command]] = {}
        self._replies: dict[str, type[Reply]] = {}
        for cls in classes:
            self._add(cls)

    def __contains__(self, address: str) -> bool:
        """Whether a message has this address."""
        return address in self._commands or address in self._replies

    def _add(self, cls: type[Message]) -> None:
        if cls.address in self._commands or cls.address in self._replies:
            raise ValueError(f"{cls.address} is in the table twice")
        if issubclass(cls, Command):
            self._commands[cls.address] = cls
        elif issubclass(cls, Reply):
            self._replies[cls.address] = cls
        else:
            raise TypeError(f"{cls.__name__} is neither a Command nor a Reply")

    def extended(self, classes: Iterable[type[Message]]) -> AddressTable:
        """This table with more message classes."""
        return AddressTable((*self.commands, *self.replies, *classes))

    @property
    def commands(self) -> tuple[type[Command], ...]:
        """The messages that clients send."""
        return tuple(self._commands.values())

    @property
    def replies(self) -> tuple[type[Reply], ...]:
        """The messages that the server sends."""
        return tuple(self._replies.values())

    def command(self, address: str) -> type[Command]:
        """The command at ``address``.

        Raises:
            NotFound: nothing can be sent there.
        """
        try:
            return self._commands[address]
        except KeyError:
            known = "it is sent by the server only" if address in self._replies else "unknown"
            raise NotFound(f"{address}: {known}; /ldm/help lists the addresses") from None

    def is_reply(self, address: str) -> bool:
        """True for an address that only the server sends."""
        return address in self._replies


def declared(module: object) -> list[type[Message]]:
    """The message classes of a module, in their order in the file."""
    return [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type)
        and issubclass(cls, Message)
        and cls.address
        and cls.__module__ == getattr(module, "__name__", "")
    ]


STAGE: Final = tuple(
    cls for module in (sound, transport, pads, stream, listen, midi) for cls in declared(module)
)
"""The addresses of the stage."""

TABLE: Final = AddressTable(
    (
        *SUBMISSIONS,
        *(cls for module in (server, notices, jobs, settings) for cls in declared(module)),
        *PRESSES,
        *SETTINGS,
        *declared(presets),
        *declared(models),
        *STAGE,
        *declared(files),
        *declared(takes),
        *declared(library),
        *declared(library_map),
    )
)


def type_tag(field: Field) -> str:
    """The OSC type tag of an argument as it is sent: booleans as ``i``, JSON as text."""
    return {"T": "i", "j": "s"}.get(field.type, field.type)


def render_markdown(table: AddressTable) -> str:
    """The tables of docs/osc.md."""
    lines = ["## What you send", ""]
    for command in table.commands:
        lines += _section(command)
        if command.replies:
            lines += [f"Answered by {', '.join(f'`{r.address}`' for r in command.replies)}.", ""]
    lines += ["## What you receive", ""]
    for reply in table.replies:
        lines += _section(reply)
    return "\n".join(lines)


def _section(message: type[Message]) -> list[str]:
    lines = [f"### `{f'{message.address} {message.usage()}'.strip()}`", ""]
    lines += [message.description(), ""]
    if message.arguments():
        lines += ["| argument | type | range | default | what it is |", "|---|---|---|---|---|"]
        lines += [_row(field) for field in message.arguments()]
        lines.append("")
    return lines


def _row(field: Field) -> str:
    default = "" if field.default in (None, "", b"") else f"`{_plain(field.default)}`"
    default = "required" if field.required else default
    cells = (f"`{field.name}`", type_tag(field), field.range, default, field.description)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(value: object) -> object:
    return int(value) if isinstance(value, bool) else value
