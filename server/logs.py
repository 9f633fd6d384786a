"""Logs for people, or one JSON object a line for machines."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Final

import msgspec

__all__ = ["OncePerSecond", "one_line", "set_up_logs"]

_NOISY: Final = ("asyncio", "uvicorn.error")
"""Loggers that a stranger can make write."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class OncePerSecond(logging.Filter):
    """Lets a message through once a second, whatever its arguments, and counts the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See :meth:`logging.Filter.filter`."""
        text, now = str(record.msg), time.monotonic()
        then, left_out = self._last.get(text, (-1.0, 0))
        if now - then < 1.0:
            self._last[text] = then, left_out + 1
            return False
        if len(self._last) > 100:
            self._last.clear()
        self._last[text] = now, 0
        if left_out:
            record.msg = f"{text} ({left_out} more like this)"
        return True


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line; an exception is a field of it."""
        entry: dict[str, str | float] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("job_id", "owner"):
            if value := getattr(record, name, ""):
                entry[name] = value
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        text = msgspec.json.encode(entry).decode()
        # JSON allows characters in a text that some readers take for the end of a line.
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _PlainLines(logging.Formatter):
    """Messages are one line each, so that a path or a prompt cannot forge another one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The first line of an entry."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:
        """A traceback; its lines begin with a bar, which the first line of an entry never does."""
        lines = super().formatException(ei).splitlines()  # type: ignore[arg-type]
        return "\n".join(f"    | {one_line(line)}" for line in lines)


def one_line(text: str) -> str:
    r"""``text`` with its line breaks and control characters escaped.

    >>> one_line("kick.wav\n12:00 INFO  all is well")
    'kick.wav\\n12:00 INFO  all is well'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def set_up_logs(*, as_json: bool = False) -> None:
    """Log everything from INFO on to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    plain = _PlainLines("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(_JsonLines() if as_json else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in _NOISY:
        logging.getLogger(name).addFilter(OncePerSecond())
