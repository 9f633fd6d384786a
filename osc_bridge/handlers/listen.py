"""The listening companion."""

from __future__ import annotations

from typing import TypeVar

from osc_bridge.messages.message import Command
from osc_bridge.messages.stage import listen as m
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.listening.companion import ListenReport, ListenSettings
from osc_bridge.stage.stage import Stage

__all__ = ["ListenHandlers", "listen_notice"]

S = TypeVar("S", bound=m.ListenState)


class ListenHandlers:
    """Handlers of the listening companion."""

    def __init__(self, service: Service, stage: Stage) -> None:
        self._service = service
        self._stage = stage

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {
            m.ListenStart: self._start,
            m.ListenStop: self._stop,
            m.ListenStatus: lambda _, c: self._tell(c),
        }

    async def _start(self, command: m.ListenStart, context: Context) -> None:
        values = {name: getattr(command, name) for name in command.__struct_fields__}
        await self._stage.listening.start(ListenSettings(**values))
        self._tell(context)

    async def _stop(self, _: m.ListenStop, context: Context) -> None:
        await self._stage.listening.stop()
        self._tell(context)

    def _tell(self, context: Context) -> None:
        report = self._stage.listening.status()
        self._service.reply(context.client, _state(m.ListenState, report))


def listen_notice(report: ListenReport) -> m.ListenNotice:
    """The notice of a change of what is heard."""
    return _state(m.ListenNotice, report)


def _state(kind: type[S], report: ListenReport) -> S:
    return kind(
        state=report.state,
        target=report.target,
        level_db=report.level_db,
        density=report.density,
        bpm=report.bpm,
        bands=", ".join(f"{low:.0f}-{high:.0f}" for low, high in report.bands),
        ceiling_db=report.ceiling_db,
        error=report.error,
    )
