"""Live sets and pads: OSC handlers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import astuple

from osc_bridge.messages import pads as m
from osc_bridge.messages.message import Command
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.liveset import list_sets
from osc_bridge.stage.stage import Stage

__all__ = ["PadService"]


class PadService:
    """What is said about pads; ``folders`` are those in which clients may name live sets."""

    def __init__(self, service: Service, stage: Stage, folders: AllowedFolders) -> None:
        self._service = service
        self._stage = stage
        self._folders = folders

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        stage, pads = self._stage, self._stage.pads
        at = stage.frame_at_time
        return {
            m.LiveLoad: self._live_load,
            m.LiveList: lambda _, c: self._service.reply(
                c.client, m.LiveListed(", ".join(list_sets()))
            ),
            m.PadList: self._pad_list,
            m.PadHit: lambda p, c: pads.hit(_pad(p), p.velocity, at(c.when_s)),
            m.PadPlay: lambda p, c: pads.play(_pad(p), p.velocity, at(c.when_s)),
            m.PadStop: lambda p, c: pads.stop(_pad(p), at(c.when_s)),
            m.PadGain: lambda p, c: pads.set_gain(_pad(p), p.gain_db),
            m.PadRefresh: lambda p, c: pads.refresh(_pad(p), p.prompt),
        }

    async def _live_load(self, wanted: m.LiveLoad, context: Context) -> None:
        name = wanted.name
        if name.endswith((".yaml", ".yml")):
            name = str(self._folders.file(name, anywhere=context.client.sender.is_local))
        live_set = await self._stage.load_set(name)
        self._service.reply(
            context.client,
            m.LiveLoaded(live_set.name, len(live_set.pads), self._stage.transport.bpm),
        )

    def _pad_list(self, _: m.PadList, context: Context) -> None:
        for report in self._stage.pads.reports():
            self._service.reply(context.client, m.PadState(*astuple(report)))


def _pad(message: Any) -> int | str:
    pad: str = message.pad
    return int(pad) if pad.isdecimal() else pad
