"""MIDI inputs and what they are bound to: OSC handlers."""

from __future__ import annotations

import asyncio
import logging
import shlex

from osc_bridge.messages import midi as m
from osc_bridge.messages.message import Command
from osc_bridge.service.client_table import Sender
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.liveset import MidiBinding
from osc_bridge.stage.midi import list_midi_inputs
from osc_bridge.stage.stage import Stage
from osc_bridge.wire.codec import Argument, OscMessage, encode
from server.errors import InvalidRequest

__all__ = ["MidiService"]

log = logging.getLogger("audioldm.osc.midi")


class MidiService:
    """What is said about MIDI, and what MIDI says: messages of its own to the service."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage
        self._sender = Sender("midi", lambda data: log.debug("answer to MIDI: %r", data))
        stage.router.send = self._send_to_ourselves

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            m.MidiList: self._midi_list,
            m.MidiOpen: self._midi_open,
            m.MidiClose: lambda _, c: self._stage.close_midi(),
            m.MidiBind: self._midi_bind,
        }

    async def _midi_list(self, wanted: m.MidiList, context: Context) -> None:
        names = await asyncio.to_thread(list_midi_inputs, wanted.api)
        self._service.reply(context.client, m.MidiListed("\n".join(names), self._midi_name()))

    async def _midi_open(self, wanted: m.MidiOpen, context: Context) -> None:
        await self._stage.open_midi(wanted.port, wanted.api)
        self._service.reply(context.client, m.MidiListed("", self._midi_name()))

    def _midi_name(self) -> str:
        return self._stage.midi.name if self._stage.midi else ""

    def _midi_bind(self, wanted: m.MidiBind, context: Context) -> None:
        self._service.table.command(wanted.target)
        try:
            words = shlex.split(wanted.arguments_text)
        except ValueError as error:
            raise InvalidRequest(f"arguments {wanted.arguments_text!r}: {error}") from error
        binding = MidiBinding(
            address=wanted.target, arguments=tuple(_argument(word) for word in words),
            low=wanted.low, high=wanted.high, **{wanted.control: wanted.number},
        )  # fmt: skip
        self._stage.router.bind(binding)

    def _send_to_ourselves(self, address: str, arguments: list[Argument]) -> None:
        self._service.receive(encode(OscMessage(address, arguments)), self._sender)


def _argument(word: str) -> str | float:
    try:
        return float(word)
    except ValueError:
        return word
