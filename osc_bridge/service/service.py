"""The service: OSC packets in, typed commands to their handlers, replies out.

A packet is decoded, each of its messages is found in the address table, made into its typed class
and given to its handler. Handlers that are not async answer at once. Async ones, which wait for
the engine or the disk, run one after the other within a client, so that a cancel cannot overtake
its submission.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from osc_bridge.messages.addresses import TABLE, AddressTable
from osc_bridge.messages.jobs import JobFail, JobReceived
from osc_bridge.messages.message import Command, Message, Reply
from osc_bridge.messages.requests.submissions import Press, Submission
from osc_bridge.messages.server import ErrorReply
from osc_bridge.service.address_proof import AddressProofs
from osc_bridge.service.bundles import BundleScheduler
from osc_bridge.service.client_table import ClientTable, KnownClient, Sender
from osc_bridge.service.inbox import Inbox
from osc_bridge.service.values import Values
from osc_bridge.stage.panic import Panic
from osc_bridge.wire.codec import MAX_DATAGRAM, OscMessage, Packet, decode, encode
from server.errors import AudioLDMError, EngineUnavailable, InvalidRequest, StorageDamaged
from server.listeners import Listeners

__all__ = ["Context", "Handler", "Service"]

log = logging.getLogger("audioldm.osc")
log_in = logging.getLogger("audioldm.osc.in")
log_out = logging.getLogger("audioldm.osc.out")

MAX_SENTENCE: Final = 1000
REPLY_PORT: Final = "reply_port"
"""Any message may end in ``reply_port N``: answers go there, for senders from random ports."""


@dataclass(frozen=True)
class Context:
    """What a handler gets besides the message."""

    client: KnownClient
    when_s: float | None = None
    """The bundle's time in Unix seconds; None: now."""
    panic_count: int = 0
    """How often everything had been stopped when the message arrived, or its time came."""


Handler = Callable[[Any, Context], Any]
"""Takes a command and its context; async where it waits for something."""


class Service:
    """Dispatches packets of any transport to handlers by message class.

    Args:
        table: the addresses.
    """

    def __init__(self, table: AddressTable = TABLE) -> None:
        self.table = table
        self.scheduler = BundleScheduler()
        self.panic = Panic()
        self.clients = ClientTable()
        self.values = Values()
        self.proofs = AddressProofs()
        self.received = 0
        """Packets that have arrived."""
        self.refused = 0
        """Packets and messages that were refused."""
        self.table_changed: Listeners[AddressTable] = Listeners("the address table")
        self._inbox = Inbox(self._schedule)
        self._handlers: dict[type[Command], Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def add(
        self,
        handlers: Mapping[type[Command], Handler],
        messages: Iterable[type[Message]] = (),
    ) -> None:
        """Add handlers, and message classes that are not in the table yet."""
        added = tuple(messages)
        self.table = self.table.extended(added)
        for command, handler in handlers.items():
            if command in self._handlers:
                raise ValueError(f"{command.address} has a handler already")
            self._handlers[command] = handler
        if added:
            self.table_changed.notify(self.table)

    @property
    def unhandled(self) -> list[str]:
        """Addresses of the table that have no handler."""
        return [c.address for c in self.table.commands if c not in self._handlers]

    async def close(self) -> None:
        """Drop the messages that wait, refuse later ones, and cancel the handlers that run.

        Jobs that were received and not accepted yet get their fail message.
        """
        self._closed = True
        self._inbox.close()
        self.scheduler.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- in

    def receive(self, data: bytes, sender: Sender, max_bytes: int = MAX_DATAGRAM) -> None:
        """Handle a packet. Never raises: errors are counted and sent to the sender."""
        self.received += 1
        try:
            self._inbox.put(decode(data, max_bytes), sender)
        except AudioLDMError as error:
            self._refuse(self.clients.of(sender), error)

    def _schedule(self, packet: Packet, sender: Sender) -> None:
        if log_in.isEnabledFor(logging.DEBUG):
            log_in.debug("%s %s", sender.key, shown(packet.message))
        message = packet.message
        if self.table.is_reply(message.address):
            self.refused += 1  # never answered, or two servers would answer each other for ever
            return
        try:
            message, client = self._redirected(message, sender)
        except AudioLDMError as error:
            self._refuse(self.clients.of(sender), error, message)
            return
        try:
            command = self.table.command(message.address)

            def execute() -> None:
                context = Context(client, packet.when_s, self.panic.count)
                self._execute(command, message, context)

            if packet.when_s is None:
                execute()
            elif command.takes_time:
                self.scheduler.admit(packet.when_s)
                execute()
            else:
                self.scheduler.at(packet.when_s, execute, client.key, message.size)
        except AudioLDMError as error:
            self._refuse(client, error, message)

    def _redirected(self, message: OscMessage, sender: Sender) -> tuple[OscMessage, KnownClient]:
        """The message without its ``reply_port N``, and the client that it names."""
        arguments = message.arguments
        if len(arguments) < 2 or arguments[-2] != REPLY_PORT:
            return message, self.clients.of(sender)
        port = arguments[-1]
        if not isinstance(port, int | float) or not 1 <= port <= 65535 or port != int(port):
            raise InvalidRequest(f"reply_port must be a port from 1 to 65535 (got {port!r})")
        if sender.at_port is None:
            raise InvalidRequest("reply_port is for UDP; here the answers use the connection")
        rest = OscMessage(message.address, arguments[:-2])
        return rest, self.clients.of(sender.at_port(int(port)))

    def _execute(self, command: type[Command], message: OscMessage, context: Context) -> None:
        try:
            if issubclass(command, Submission):
                typed: Command = command.from_osc(message.arguments, context.client.settings)
            else:
                typed = command.from_osc(message.arguments)
            handler = self._handler(command)
            if inspect.iscoroutinefunction(handler):
                context.client.check_outstanding(message.size)
                if isinstance(typed, Submission):
                    # At once, for the acceptance waits for the disk.
                    self.reply(context.client, JobReceived(typed.request_id))
                self._start(handler, typed, message, context)
            else:
                handler(typed, context)
                self.values.refresh(command)
        except AudioLDMError as error:
            self._refuse(context.client, error, message)
        except Exception:
            log.exception("the handler of %s failed", message.address)
            self._refuse(context.client, AudioLDMError("internal error; see the log"), message)

    def _handler(self, command: type[Command]) -> Handler:
        if self._closed:
            raise _shut_down()
        if command not in self._handlers:
            raise InvalidRequest(f"{command.address} is not available in this set-up")
        return self._handlers[command]

    def _start(
        self, handler: Handler, typed: Command, message: OscMessage, context: Context
    ) -> None:
        """Run an async handler after the client's earlier ones."""
        client, before = context.client, context.client.tail

        async def run() -> None:
            try:
                if before is not None:
                    await asyncio.wait((before,))
                await handler(typed, context)
                self.values.refresh(type(typed))
            except AudioLDMError as error:
                self._refuse(client, error, message)
            except asyncio.CancelledError:
                self._refuse(client, _shut_down(), message)
                raise
            except Exception:
                log.exception("the handler of %s failed", message.address)
                self._refuse(client, AudioLDMError("internal error; see the log"), message)
            finally:
                client.outstanding -= 1
                client.outstanding_bytes -= message.size
                if client.tail is task:
                    client.tail = None

        client.outstanding += 1
        client.outstanding_bytes += message.size
        task = client.tail = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- out

    def reply(self, client: KnownClient, message: Reply) -> None:
        """Send ``message`` to ``client``."""
        self._send(client, message.to_osc())

    def broadcast(self, message: Reply, besides: KnownClient | None = None) -> None:
        """Send ``message`` to all clients with notices on, but not to ``besides``."""
        osc = message.to_osc()
        self.values.changed.notify(osc)
        for client in self.clients.notified():
            if client is not besides:
                self._send(client, osc)

    def fail(self, client: KnownClient, fail: JobFail, about: str) -> None:
        """Send the end of a job to its client, and ``/ldm/error`` to the others with notices on.

        It is never held back: its sender waits for it.
        """
        self.reply(client, fail)
        if client.may_send_error():
            self.broadcast(ErrorReply(fail.code, fail.sentence, about), besides=client)

    def report(self, client: KnownClient, error: AudioLDMError, about: str = "") -> None:
        """Send ``/ldm/error`` to ``client`` and to those with notices on."""
        if client.may_send_error():
            reply = ErrorReply(error.code, _sentence(error), about)
            self.reply(client, reply)
            self.broadcast(reply, besides=client)

    def warn(self, client: KnownClient, notice: str) -> None:
        """Tell a client once what is wrong with the journal; empty where nothing is."""
        if notice and client.warned != notice:
            client.warned = notice
            error = StorageDamaged(notice)
            self.reply(client, ErrorReply(error.code, _sentence(error), "journal"))

    def _refuse(
        self, client: KnownClient, error: AudioLDMError, message: OscMessage | None = None
    ) -> None:
        """Count a refusal and send its reason, once: as the end of a job, or as an error."""
        self.refused += 1
        request_id = _awaited_id(self.table, message) if message else None
        about = message.address if message else ""
        if request_id is None:
            self.report(client, error, about)
        else:
            self.fail(client, JobFail(request_id, "", error.code, _sentence(error)), about)

    def _send(self, client: KnownClient, message: OscMessage) -> None:
        if log_out.isEnabledFor(logging.DEBUG):
            log_out.debug("%s %s", client.key, shown(message))
        client.sender.send(encode(message))


def _shut_down() -> EngineUnavailable:
    return EngineUnavailable("audioldm-daw is shut down; send the message again later")


def _sentence(error: AudioLDMError) -> str:
    """The message of an error, shortened: it may quote a value of any length."""
    text = str(error)
    return text if len(text) <= MAX_SENTENCE else f"{text[:MAX_SENTENCE]} ..."


def _awaited_id(table: AddressTable, message: OscMessage) -> str | None:
    """The request id of a job whose end the sender waits for; None for other messages."""
    try:
        command = table.command(message.address)
    except AudioLDMError:
        return None
    if JobFail not in command.replies:
        return None
    first = message.arguments[0] if message.arguments and not issubclass(command, Press) else ""
    if isinstance(first, float) and first.is_integer():
        first = int(first)
    return str(first)[:200] if isinstance(first, str | int | float) else ""


def shown(message: OscMessage) -> str:
    """A message as a line of the log; blobs by their size.

    >>> shown(OscMessage("/ldm/upload/chunk", ("u1", 0, b"abc")))
    "/ldm/upload/chunk 'u1' 0 <3 bytes>"
    """
    words = (f"<{len(a)} bytes>" if isinstance(a, bytes) else repr(a) for a in message.arguments)
    return " ".join((message.address, *words))
