"""MIDI inputs, and the messages that notes and controllers send."""

from __future__ import annotations

import asyncio
import logging
import shlex

from osc_bridge.messages.message import Command
from osc_bridge.messages.stage import midi as m
from osc_bridge.service.client_table import Sender
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.liveset import MidiBinding
from osc_bridge.stage.midi import list_midi_inputs
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import Argument, OscMessage, encode
from server.errors import InvalidRequest

__all__ = ["MidiHandlers"]

log = logging.getLogger("audioldm.osc.midi")


class MidiHandlers:
    """Handlers of MIDI; bound notes and controllers are a client of the service."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage
        self._sender = Sender(
            "midi", lambda data: log.debug("answer to MIDI: %r", data), is_local=True
        )
        stage.router.send = self._send_to_service

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            m.MidiList: self._list,
            m.MidiOpen: self._open,
            m.MidiClose: lambda _, c: self._stage.close_midi(),
            m.MidiBind: self._bind,
        }

    async def _list(self, command: m.MidiList, context: Context) -> None:
        names = await asyncio.to_thread(list_midi_inputs, command.api)
        self._service.reply(context.client, m.MidiListed("\n".join(names), self._open_port()))

    async def _open(self, command: m.MidiOpen, context: Context) -> None:
        await self._stage.open_midi(command.port, command.api)
        self._service.reply(context.client, m.MidiListed("", self._open_port()))

    def _open_port(self) -> str:
        return self._stage.midi.name if self._stage.midi else ""

    def _bind(self, command: m.MidiBind, context: Context) -> None:
        self._service.table.command(command.target)
        try:
            words = shlex.split(command.arguments_text)
        except ValueError as error:
            raise InvalidRequest(f"arguments {command.arguments_text!r}: {error}") from error
        binding = MidiBinding(
            address=command.target,
            arguments=tuple(_argument(word) for word in words),
            low=command.low,
            high=command.high,
            **{command.control: command.number},
        )
        self._stage.router.bind(binding)

    def _send_to_service(self, address: str, arguments: list[Argument]) -> None:
        self._service.receive(encode(OscMessage(address, arguments)), self._sender)


def _argument(word: str) -> str | float:
    try:
        return float(word)
    except ValueError:
        return word
