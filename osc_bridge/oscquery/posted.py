"""OSC commands over HTTP: the arguments are posted to the address, the answers come back."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from osc_bridge.messages.jobs import JobFail
from osc_bridge.messages.message import Command
from osc_bridge.messages.server import ErrorReply
from osc_bridge.service.client_table import Sender
from osc_bridge.service.service import Service
from osc_bridge.wire.codec import MAX_ARGUMENTS, OscMessage, decode, encode
from osc_bridge.wire.framing import MAX_FRAME
from server.errors import AudioLDMError, InvalidRequest, error_for
from server.http.io import answer, body, error_answer
from server.net.limits import is_loopback

__all__ = ["Posted"]

_NUMBERS: Final = itertools.count(1)
_WORDS: Final = (str, int, float)


class Posted:
    """Answers ``POST /ldm/pad/hit`` with the body ``["kick", 0.5]`` by what OSC would answer."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def answer(self, request: Request) -> Response:
        """Run one command; the answer is a list of ``{"address": ..., "arguments": [...]}``."""
        try:
            command = self._service.table.command(request.url.path)
            replies = await self._run(await _message(request, command), request)
        except AudioLDMError as error:
            return error_answer(error)
        for reply in replies:
            if reply.address == ErrorReply.address:
                return error_answer(error_for(str(reply.arguments[0]), str(reply.arguments[1])))
        return answer([{"address": r.address, "arguments": r.arguments} for r in replies])

    async def _run(self, message: OscMessage, request: Request) -> list[OscMessage]:
        """What a client of its own is answered until the command's handler has ended."""
        replies: list[OscMessage] = []
        host = request.client.host if request.client else ""
        sender = Sender(
            f"post:{next(_NUMBERS)}",
            lambda packet: replies.append(decode(packet, MAX_FRAME)[0].message),
            is_local=is_loopback(host),
        )
        clients = self._service.clients
        try:
            self._service.receive(encode(message), sender, MAX_FRAME)
            while (client := clients.get(sender.key)) is not None and client.tail is not None:
                await asyncio.wait((client.tail,))
        finally:
            clients.forget(sender.key)
        return replies


async def _message(request: Request, command: type[Command]) -> OscMessage:
    """The message that a body stands for.

    Raises:
        InvalidRequest: the body is no list of words and numbers, or the command renders.
    """
    if JobFail in command.replies:
        raise InvalidRequest(f"{command.address}: a job is posted to /v1/jobs, which tells its end")
    values = await body(request, list[Any]) if int(request.headers.get("content-length", 0)) else []
    odd = next((value for value in values if not isinstance(value, _WORDS)), None)
    if odd is not None or len(values) > MAX_ARGUMENTS:
        raise InvalidRequest(
            f"{command.address}: post a list of at most {MAX_ARGUMENTS} words and numbers, "
            f'such as ["kick", 0.5] (got {odd!r})'
        )
    return OscMessage(command.address, values)
