"""Live sets and pads."""

from __future__ import annotations

from typing import TypeVar

from osc_bridge.messages.message import Command
from osc_bridge.messages.stage import pads as m
from osc_bridge.messages.stage.stream import StreamCorners
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.liveset import is_set_file, list_sets
from osc_bridge.stage.pads.slot import PadReport
from osc_bridge.stage.stage import Stage

__all__ = ["PadHandlers", "pad_named", "pad_notice", "pad_state"]

S = TypeVar("S", bound=m.PadState)


class PadHandlers:
    """Handlers of live sets and pads.

    Args:
        service: answers for them.
        stage: plays them.
        folders: where clients may name the files of live sets.
    """

    def __init__(self, service: Service, stage: Stage, folders: AllowedFolders) -> None:
        self._service = service
        self._stage = stage
        self._folders = folders

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        pads, frame_at = self._stage.pads, self._stage.frame_at_time
        return {
            m.LiveLoad: self._live_load,
            m.LiveList: self._live_list,
            m.PadList: self._pad_list,
            m.PadHit: lambda p, c: pads.hit(pad_named(p.pad), p.velocity, frame_at(c.when_s)),
            m.PadPlay: lambda p, c: pads.play(pad_named(p.pad), p.velocity, frame_at(c.when_s)),
            m.PadStop: lambda p, c: pads.stop(pad_named(p.pad), frame_at(c.when_s)),
            m.PadGain: lambda p, c: pads.set_gain(pad_named(p.pad), p.gain_db),
            m.PadRefresh: lambda p, c: pads.refresh(pad_named(p.pad), p.prompt),
        }

    def _live_list(self, _: m.LiveList, context: Context) -> None:
        self._service.reply(context.client, m.LiveListed(", ".join(list_sets())))

    async def _live_load(self, command: m.LiveLoad, context: Context) -> None:
        name = command.name
        if is_set_file(name):
            name = str(self._folders.file(name, anywhere=context.client.sender.is_local))
        live_set = await self._stage.load_set(name)
        loaded = m.LiveLoaded(
            name=live_set.name, num_pads=len(live_set.pads), bpm=self._stage.transport.bpm
        )
        self._service.reply(context.client, loaded)
        self._service.values.refresh(StreamCorners)

    def _pad_list(self, _: m.PadList, context: Context) -> None:
        for report in self._stage.pads.reports():
            self._service.reply(context.client, pad_state(report))


def pad_state(report: PadReport) -> m.PadState:
    """The state of a pad as an answer."""
    return _state(m.PadState, report)


def pad_notice(report: PadReport) -> m.PadNotice:
    """The notice of a change of a pad."""
    return _state(m.PadNotice, report)


def _state(kind: type[S], report: PadReport) -> S:
    return kind(
        number=report.number,
        name=report.name,
        state=report.state,
        takes=report.takes,
        refreshing=report.refreshing,
        error=report.error,
        source=report.source,
    )


def pad_named(pad: str) -> int | str:
    """A pad's number where it looks like one, else its name."""
    return int(pad) if pad.isdecimal() else pad
