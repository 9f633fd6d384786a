"""docs/osc.md, written from the address table: ``python -m osc_bridge.osc_document docs/osc.md``.

A test fails where the file in the repository is not what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from osc_bridge.messages.addresses import TABLE, render_markdown
from osc_bridge.messages.files import CHUNK_BYTES
from osc_bridge.service.bundles import MAX_AHEAD_S, MAX_WAITING
from osc_bridge.wire.codec import MAX_ARGUMENTS, MAX_DATAGRAM, MAX_DEPTH, MAX_MESSAGES
from osc_bridge.wire.framing import MAX_FRAME
from server.errors import AudioLDMError

__all__ = ["render_document"]

PREFACE: Final = f"""# OSC

Written by `python -m osc_bridge.osc_document`; edit the message classes instead.

`audioldm-daw` listens on 127.0.0.1, UDP and TCP port 9536 (`--osc-port`). The same table is on
`http://127.0.0.1:9537/` as an OSCQuery tree, and each address answers `/ldm/help /ldm/text`.

```
/ldm/text  a1  "rain on a tin roof"  seed 3  audio_length_in_s 2.5
    -> /ldm/job/received  a1
    -> /ldm/job/accepted  a1 1f09c2d3aa 0
    -> /ldm/job/progress  a1 1f09c2d3aa 1 20        ... 20 20
    -> /ldm/take          a1 1f09c2d3aa 0 /home/you/AudioLDM/takes/rain-....wav 2.5 48000 1 3 -2.0 0
    -> /ldm/job/done      a1 1f09c2d3aa 1
```

From a shell: `audioldm-osc /ldm/text a1 "rain on a tin roof" seed 3`, or with liblo's tools
`oscsend osc.udp://127.0.0.1:9536 /ldm/text sssisi a1 "rain on a tin roof" seed 3 reply_port 9104`
and `oscdump 9104`.

## Manners

- **Jobs.** A message that starts a job has a request id, a prompt, then pairs of name and value:
  any field of the request. Nested fields may be written short (`sample_rate`) or whole
  (`delivery.sample_rate`). Its answers are `/ldm/job/received`, `/ldm/job/accepted`,
  progress, a `/ldm/take` for each finished file, and at last exactly one of `/ldm/job/done` and
  `/ldm/job/fail` (also where it was cancelled, with code `cancelled`).
- **Received and accepted.** `received` is sent at once: the message arrived and makes sense.
  `accepted` is a promise: the job is on disk, and neither `kill -9` nor a power cut loses it. It
  comes later by what the disk takes to write. A job that was received and cannot be accepted
  (disk or queue full, no such clip) gets its `fail`. Whoever hears `received` and then nothing,
  because the program died between the two, sends the message again.
- **Request ids** are yours. The same message with the same id makes no second job: you are told
  once more what became of the first. So repeat freely where datagrams get lost, and use a new id
  for a new request. A used id with another request is refused with `conflict`.
- **Numbers.** Floats are accepted for whole numbers (Pd has no others), 1 and 0 for yes and no,
  numbers for ids. What we send has always the same type tags.
- **Prompts** are one string. In Pd write spaces as `\\ `, or use `[list fromsymbol]`.
- **Replies go to the sender.** A program that sends from one port and listens on another ends
  any message with `reply_port 9104`. A client is the address that its replies go to: nobody else
  sees them, and equal request ids of two clients are two jobs.
- **Settings.** `/ldm/set/<field> value` keeps a value for this client's later requests, and
  `/ldm/press/text 1` renders with them: faders, a text box and a button make a control surface.
- **Notices.** After `/ldm/notify 1` a client also hears what everybody does, on addresses of
  their own (`/ldm/notify/...`).
- **Completion.** The option `completion` is a blob with an OSC packet that the server executes,
  as if you had sent it, when the job is done.
- **Errors.** Whatever is refused is answered by `/ldm/error code sentence address`, at most 50 a
  second to one client. Addresses that only the server sends are never answered. Codes:
  {{codes}}.

## Limits

- UDP packets up to {MAX_DATAGRAM} bytes; over TCP {MAX_FRAME // 1024} KiB. TCP takes OSC 1.0
  (a length before each packet) and 1.1 (SLIP) on the same port; the first byte tells.
- {MAX_ARGUMENTS} arguments a message, {MAX_MESSAGES} messages a bundle, {MAX_DEPTH} levels deep.
  Address patterns (`* ? [] {{}}`) are refused: every message names one address.
- A bundle with a time tag waits for its time (jitter is in docs/latency.md). One that is late is
  executed at once and counted (`/ldm/status`); one more than {MAX_AHEAD_S / 60:.0f} minutes ahead,
  or beyond {MAX_WAITING} waiting messages, is refused. Messages of one bundle, and of bundles
  with equal times, are executed in order. What waits for the disk, a card or the engine ends in
  the order of its sender, and messages that wait for nothing pass it; `/ldm/stop` passes
  everything, and what it passed does not begin to sound.
- Takes are written, and files sent, inside the takes folder and the `--allowed-folders`. Clips to
  work on may lie anywhere if the client runs on the same machine.

## Files without a file system

A client that shares no disk with the server uses HTTP, or chunks over TCP. Upload:
`/ldm/upload/start u1 loop.wav 48044 <sha256>` -> `/ldm/upload/ready u1 {CHUNK_BYTES} 2`, then
`/ldm/upload/chunk u1 0 <blob>` -> `/ldm/upload/got u1 0`, and the last one ->
`/ldm/upload/done u1 path`, a path to be used as `clip`. Download: `/ldm/download/start d1 path` ->
`/ldm/download/ready d1 name bytes chunks sha256`, then `/ldm/download/get d1 0` ->
`/ldm/download/chunk d1 0 <blob>` and so on. Repeating a chunk or a question does no harm.

"""


def render_document() -> str:
    """The whole file."""
    codes = sorted(
        {f"`{cls.code}`" for cls in AudioLDMError.__subclasses__()} | {f"`{AudioLDMError.code}`"}
    )
    return PREFACE.replace("{codes}", ", ".join(codes)) + render_markdown(TABLE).rstrip() + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_document(), "utf-8")
