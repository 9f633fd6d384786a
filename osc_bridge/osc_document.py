"""docs/osc.md, written from the address table: ``python -m osc_bridge.osc_document docs/osc.md``.

A test compares the file in the repository with the output.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from osc_bridge.handlers.server import MAX_LISTINGS
from osc_bridge.messages.addresses import TABLE, render_markdown
from osc_bridge.messages.files import CHUNK_BYTES
from osc_bridge.service.address_proof import AMPLIFICATION, HELD_BYTES
from osc_bridge.service.bundles import MAX_AHEAD_S, MAX_WAITING
from osc_bridge.service.tcp import MAX_CONNECTIONS, MAX_UNREAD
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

## Conventions

- **Jobs.** A message that starts a job has a request id, a prompt, then pairs of name and value:
  any field of the request. Nested fields may be written short (`sample_rate`) or in full
  (`delivery.sample_rate`). The answers are `/ldm/job/received`, `/ldm/job/accepted`, progress, and
  a `/ldm/take` for each finished file. The last one is either `/ldm/job/done` or `/ldm/job/fail`
  (with code `cancelled` for a cancelled job).
- **Received and accepted.** `received` is sent at once: the message has arrived and is valid.
  `accepted` follows when the job is on disk, where neither `kill -9` nor a power cut loses it. A
  job that was received but cannot be accepted (disk or queue full, no such clip) gets a `fail`. If
  only `received` arrives, because the program died between the two, send the message again.
- **Request ids** are chosen by the client. A repeated message with the same id starts no second
  job; its answers are sent again. Repeat messages freely where datagrams are lost, and use a new id
  for a new request. An id that was used for another request is refused with `conflict`.
- **Numbers.** Floats are accepted for integers (Pd has no others), 1 and 0 for booleans, and
  numbers for ids. Replies always have the same type tags.
- **Prompts** are one string. In Pd write spaces as `\\ `, or use `[list fromsymbol]`.
- **Replies go to the sender.** A program that sends from one port and listens on another ends each
  message with `reply_port 9104`. A client is the address that its replies go to. Other clients do
  not receive them, and equal request ids of two clients are two jobs.
- **Proof of address.** A client on another machine that sends over UDP gets at most
  {AMPLIFICATION} bytes for each byte that came from its address. So a forged address harms nobody.
  Longer answers wait (up to {HELD_BYTES // 1024} KiB), and `/ldm/cookie c` is sent instead. Send
  `/ldm/prove c` back: the answers that waited follow, and from then on the whole machine is
  trusted. A client that cannot do that opens one TCP connection to the OSC port, or asks OSCQuery
  once over HTTP: both prove the address too. On the same machine, and over TCP, there is no cookie.
- **Settings.** `/ldm/set/<field> value` keeps a value for this client's later requests, and
  `/ldm/press/text 1` renders with them. Faders, a text box and a button make a control surface.
- **Notices.** After `/ldm/notify 1` a client also receives the changes of all jobs, on separate
  addresses (`/ldm/notify/...`).
- **Completion.** The option `completion` is a blob with an OSC packet. The server executes it, as
  if the client had sent it, when the job is done.
- **Errors.** A refused message is answered by `/ldm/error code sentence address`, at most 50 a
  second for each client. Messages to addresses that only the server sends are never answered.
  A job that is refused or fails is answered by `/ldm/job/fail` alone, and each one is. Other
  clients with notices on receive `/ldm/error` for both.
  Codes: {{codes}}.

## Limits

- A UDP packet has at most {MAX_DATAGRAM} bytes, a TCP packet {MAX_FRAME // 1024} KiB. TCP accepts
  OSC 1.0 (a length before each packet) and 1.1 (SLIP) on the same port, by the first byte.
- {MAX_CONNECTIONS} TCP connections may be open (`--max-osc-connections`), a quarter of them from
  one other machine. A new one replaces the one that has been silent the longest. While a client
  does not read its answers, its next messages wait. With {MAX_UNREAD // 2**20} MiB of unread
  answers, or 30 s without reading, it is disconnected.
- {MAX_LISTINGS} lists of all addresses (`/ldm/help`) may be on their way to one machine.
- A message has at most {MAX_ARGUMENTS} arguments, a bundle {MAX_MESSAGES} messages in {MAX_DEPTH}
  levels. Address patterns (`* ? [] {{}}`) are refused: every message names one address.
- A bundle with a time tag waits for its time (jitter is in docs/latency.md). A late one is executed
  at once and counted (`/ldm/status`). One more than {MAX_AHEAD_S / 60:.0f} minutes ahead, or beyond
  {MAX_WAITING} waiting messages, is refused.
- Messages of one bundle, and of bundles with equal times, are executed in order. Commands that wait
  for the disk, a sound card or the engine run one after the other within a client. Other messages
  overtake them. `/ldm/stop` overtakes everything, and what it overtook does not start to play.
- Takes are written, and files sent, inside the takes folder and the `--allowed-folders`. Clips may
  be anywhere if the client runs on the same machine.

## Files without a shared disk

A client that shares no disk with the server uses HTTP, or chunks over TCP. Repeating a chunk or a
request does no harm.

Upload:

```
/ldm/upload/start u1 loop.wav 48044 <sha256>    -> /ldm/upload/ready u1 {CHUNK_BYTES} 2
/ldm/upload/chunk u1 0 <blob>                   -> /ldm/upload/got u1 0
/ldm/upload/chunk u1 1 <blob>                   -> /ldm/upload/done u1 path
```

The path can be used as `clip`. Download:

```
/ldm/download/start d1 path                     -> /ldm/download/ready d1 name bytes chunks sha256
/ldm/download/get d1 0                          -> /ldm/download/chunk d1 0 <blob>
```

"""


def render_document() -> str:
    """The whole file."""
    codes = sorted(
        {f"`{cls.code}`" for cls in AudioLDMError.__subclasses__()} | {f"`{AudioLDMError.code}`"}
    )
    return PREFACE.replace("{codes}", ", ".join(codes)) + render_markdown(TABLE).rstrip() + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_document(), "utf-8")
