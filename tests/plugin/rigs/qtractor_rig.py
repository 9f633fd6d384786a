"""Qtractor without a sound card: a session with the plug-in, and ALSA's sequencer replaced."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from plugin_build import CLAP

# Qtractor insists on /dev/snd/seq. These functions stand in for it: no events, no other clients.
_ANSWERS = {
    "snd_seq_client_id": "return 128;",
    "snd_seq_client_info_get_name": 'return (long)"none";',
    "snd_seq_port_info_get_name": 'return (long)"none";',
    "snd_timer_info_get_name": 'return (long)"none";',
    "snd_seq_open": "*(void**)a = memory; return 0;",
    "snd_seq_event_input": "*(void**)b = 0; return -EAGAIN;",
    "snd_seq_poll_descriptors_count": "return 1;",
    "snd_seq_poll_descriptors": (
        "static int pipes[2]; if (!pipes[1] && pipe(pipes)) return 0;"
        " ((int*)b)[0] = pipes[0]; ((int*)b)[1] = 1; return 1;"
    ),
    "snd_seq_query_next_client": "return -ENOENT;",
    "snd_seq_query_next_port": "return -ENOENT;",
    "snd_seq_query_port_subscribers": "return -ENOENT;",
    "snd_timer_query_next_device": "return -ENOENT;",
    "snd_seq_query_subscribe_get_addr": "return (long)(memory + 1024);",
}


def build_no_sequencer(folder: Path) -> Path:
    """A library to be preloaded."""
    symbols = subprocess.run(
        ("nm", "-D", "/usr/bin/qtractor"), capture_output=True, text=True, check=True
    ).stdout
    names = sorted(set(re.findall(r"U (snd_(?:seq|timer|midi)_\w+)", symbols)))
    lines = ["#include <errno.h>", "#include <unistd.h>", "static char memory[65536];"]
    for name in names:
        default = "return 4096;" if name.endswith("_sizeof") else "return 0;"
        body = _ANSWERS.get(name, default)
        lines.append(f"long {name}(void* a, void* b, void* c, void* d) {{ {body} }}")
    source, library = folder / "no_sequencer.c", folder / "no_sequencer.so"
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(("gcc", "-w", "-shared", "-fPIC", "-o", str(library), str(source)), check=True)
    return library


_SESSION = """<!DOCTYPE qtractorSession>
<session name="session" version="0.9.31">
 <properties>
  <directory>{folder}</directory>
  <description></description>
  <sample-rate>48000</sample-rate>
  <tempo>120</tempo>
  <ticks-per-beat>960</ticks-per-beat>
  <beats-per-bar>4</beats-per-bar>
  <beat-divisor>2</beat-divisor>
 </properties>
 <files>
  <audio-list/>
  <midi-list/>
 </files>
 <devices>
  <audio-engine>
   <audio-control>
    <transport-mode>full</transport-mode>
   </audio-control>
   <audio-bus mode="duplex" name="Master">
    <pass-through>0</pass-through>
    <channels>2</channels>
   </audio-bus>
  </audio-engine>
 </devices>
 <tracks>
  <track name="sounds" type="audio">
   <properties>
    <input-bus>Master</input-bus>
    <output-bus>Master</output-bus>
   </properties>
   <state><gain>1</gain><panning>0</panning></state>
   <view><height>96</height></view>
   <plugins>
    <plugin type="CLAP">
     <filename>{plugin}</filename>
     <index>0</index>
     <label>AudioLDM</label>
     <activated>1</activated>
    </plugin>
   </plugins>
  </track>
 </tracks>
</session>
"""


def write_session(folder: Path) -> Path:
    """One track with the plug-in."""
    path = folder / "session.qtr"
    path.write_text(_SESSION.format(folder=folder, plugin=CLAP))
    return path
