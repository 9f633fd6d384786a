"""The OSC side of a running instance: one service behind a UDP and a TCP port."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final

from osc_bridge.handlers.housekeeping import Housekeeping, transfer_handlers
from osc_bridge.handlers.jobs import JobMessages
from osc_bridge.handlers.models import ModelMessages
from osc_bridge.handlers.presets import preset_handlers
from osc_bridge.handlers.transfers import Transfers
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Service
from osc_bridge.service.tcp import TcpServer
from osc_bridge.service.udp import UdpServer
from server.config import Config
from server.engine.engine import Engine
from server.errors import DeviceError

__all__ = ["OscBridge"]

_TRIES: Final = 20


class OscBridge:
    """An async context manager: inside, clients are answered.

    Further parts add their commands with ``bridge.service.add(handlers, messages)``.
    """

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._config = config
        self.service = Service()
        self.folders = AllowedFolders(config.roots)

    async def __aenter__(self) -> OscBridge:
        """Start to listen.

        Raises:
            DeviceError: a port cannot be opened.
        """
        async with AsyncExitStack() as stack:
            service = self.service
            stack.push_async_callback(service.close)
            self.housekeeping = Housekeeping(service, self._engine)
            stack.push_async_callback(self.housekeeping.close)
            jobs = JobMessages(service, self._engine, self.folders)
            models = ModelMessages(service, self._engine)
            stack.callback(models.close)
            transfers = Transfers(self.folders)
            stack.callback(transfers.close)
            service.add({**jobs.handlers, **models.handlers, **self.housekeeping.handlers})
            service.add(transfer_handlers(service, transfers))
            service.add(preset_handlers(service, self._config.state / "presets"))
            host, port = self._config.host, self._config.osc_port
            self.udp, self.tcp = await _listen(service, host, port)
            stack.push_async_callback(self.udp.close)
            stack.push_async_callback(self.tcp.close)
            stack.callback(jobs.close)  # while the ports are still open
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """The OSC port, the same for UDP and TCP."""
        return self.udp.port


async def _listen(service: Service, host: str, port: int) -> tuple[UdpServer, TcpServer]:
    """UDP and TCP on one port. A free one (0) is free for UDP only: TCP may ask for another."""
    tries = 1 if port else _TRIES
    while True:
        tries -= 1
        udp = await UdpServer.open(service, host, port)
        try:
            return udp, await TcpServer.open(service, host, udp.port)
        except DeviceError:
            await udp.close()
            if not tries:
                raise
