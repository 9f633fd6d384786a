"""A line of the log is one that the program wrote: what a client names cannot forge another."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FORGED = "12:00:00 INFO    all is well"
SCRIPT = f"""
import logging
from server.logs import set_up_logs

set_up_logs(as_json={{as_json}})
log = logging.getLogger("audioldm.server")
for end in ("\\n", "\\r\\n", "\\x0b", "\\x1b[2K\\r", "\\x85", "\\u2028"):
    log.info("job %s %s", "ab", f"failed: recipe kick.wav{{{{end}}}}{FORGED} cannot be read")
    try:
        raise OSError(f"kick.wav{{{{end}}}}{FORGED}")
    except OSError:
        log.exception("job %s", f"x{{{{end}}}}{FORGED}")
"""


def lines_of(*, as_json: bool) -> list[str]:
    script = SCRIPT.replace("{as_json}", str(as_json)).replace("{{", "{").replace("}}", "}")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stderr.splitlines()


def test_no_line_is_forged() -> None:
    lines = lines_of(as_json=False)
    assert sum("recipe kick.wav" in line for line in lines) == 6
    entries = [line for line in lines if not line.startswith(" ")]
    assert len(entries) == 12
    assert not [line for line in lines if line.lstrip().startswith(FORGED)]
    assert not [line for line in lines if "\x1b" in line]


def test_json_lines_are_one_object_each() -> None:
    entries = [json.loads(line) for line in lines_of(as_json=True)]
    assert len(entries) == 12
    assert {entry["level"] for entry in entries} == {"info", "error"}


@pytest.mark.parametrize("name", ["asyncio", "uvicorn.error"])
def test_strangers_write_once_a_second(name: str) -> None:
    script = (
        "import logging; from server.logs import set_up_logs; set_up_logs();"
        f"log = logging.getLogger({name!r});"
        "[log.error('accept failed: %s', n) for n in range(10_000)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert 1 <= len(done.stderr.splitlines()) <= 5
