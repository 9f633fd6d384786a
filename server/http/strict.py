"""HTTP/1.1 as RFC 9112 writes it: what two programs could read in two ways is refused.

A proxy in front and this server must agree where a request ends. h11 takes some requests whose end
is a matter of opinion; they would let one client's bytes become another's request.
"""

from __future__ import annotations

import re
from typing import Any, Final

import h11

from server.net.limits import MAX_HEAD_BYTES

__all__ = ["StrictConnection"]

_HEAD_END: Final = b"\r\n\r\n"
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_FOLDED: Final = re.compile(rb"\r\n[ \t]")


class StrictConnection(h11.Connection):
    """A server's side of a connection that refuses ambiguous requests."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.requests = 0
        """Number of heads that were read."""
        self.refusal = "this is no valid HTTP/1.1 request"
        """Why the last request was refused."""
        self.refused_status = 400
        self._chunked = False

    @property
    def waits_for_head(self) -> bool:
        """True between requests, and while a head is incomplete."""
        return self.their_state is h11.IDLE

    @property
    def has_begun(self) -> bool:
        """True where bytes of a head are here, or where no head has come yet."""
        return not self.requests or bool(self.trailing_data[0])

    def next_event(self) -> Any:
        """See :meth:`h11.Connection.next_event`.

        Raises:
            h11.RemoteProtocolError: what came is not HTTP, or is ambiguous.
        """
        if self.their_state is h11.IDLE:
            self._check_head(self.trailing_data[0])
        ends = self._chunked and self.their_state is h11.SEND_BODY
        before = self.trailing_data[0] if ends else b""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self._note(error)
            raise
        if isinstance(event, h11.Request):
            self._check_framing(event)
        elif ends and isinstance(event, h11.EndOfMessage):
            self._check_end(event, before)
        return event

    def _check_head(self, data: bytes) -> None:
        end = data.find(_HEAD_END)
        head = data if end < 0 else data[: end + len(_HEAD_END)]
        if len(head) > MAX_HEAD_BYTES:
            self.refused_status = 431
            self._refuse(f"the head of the request has more than {MAX_HEAD_BYTES} bytes")
        if _BARE_LF.search(head):
            self._refuse("lines of the head end in CR LF; this one ends in LF alone")
        if _FOLDED.search(head):
            self._refuse("a header has one line; this one is folded (obs-fold)")

    def _check_framing(self, request: h11.Request) -> None:
        names = {name for name, _ in request.headers}
        self.requests += 1
        self._chunked = b"transfer-encoding" in names
        if request.http_version not in (b"1.0", b"1.1"):
            self.refused_status = 505
            self._refuse("send HTTP/1.1")
        if self._chunked and b"content-length" in names:
            self._refuse("send Content-Length or Transfer-Encoding, not both")
        if self._chunked and request.http_version < b"1.1":
            self._refuse("Transfer-Encoding needs HTTP/1.1")

    def _check_end(self, event: h11.EndOfMessage, before: bytes) -> None:
        end = before[: len(before) - len(self.trailing_data[0])]
        if list(event.headers):
            self._refuse("headers after a chunked body are not taken")
        if _BARE_LF.search(end):
            self._refuse("chunks end in CR LF; this one ends in LF alone")

    def _refuse(self, sentence: str) -> None:
        self.refusal = sentence
        raise h11.RemoteProtocolError(sentence)

    def _note(self, error: h11.RemoteProtocolError) -> None:
        """Keep what h11 found; its sentences may quote what was sent."""
        self.refusal = f"this is no valid HTTP/1.1 request: {str(error)[:200]}"
        hint = error.error_status_hint
        self.refused_status = hint if hint in (413, 431, 501) else 400
