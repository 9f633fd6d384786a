"""LV2 in jalv, with JACK's transport."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from companion import Companion, environment
from jack_server import jack_server
from plugin_build import LV2, URI
from running_programs import needs
from talking import Samples

jack = pytest.importorskip("jack")

pytestmark = [pytest.mark.daw, needs("jalv", "jackd")]

RATE, PERIOD, BPM = 48000, 256, 100.0


def _lv2_path(folder: Path) -> str:
    """A folder with our bundle only, and the standard's."""
    bundles = folder / "lv2"
    bundles.mkdir()
    (bundles / LV2.name).symlink_to(LV2)
    return f"{bundles}:/usr/lib/lv2"


class Session:
    """jalv, and a JACK client that leads the transport and records what jalv plays."""

    def __init__(self, jalv: subprocess.Popen[str]) -> None:
        self.jalv = jalv
        self.client = jack.Client("test")
        self.inputs = [self.client.inports.register(f"in_{k}") for k in (1, 2)]
        self.blocks: list[tuple[int, Samples]] = []
        self.client.set_process_callback(self._record)
        self.client.set_timebase_callback(self._bars)

    def _record(self, _: int) -> None:
        state, position = self.client.transport_query_struct()
        if state == jack.ROLLING:
            samples = np.stack([port.get_array().copy() for port in self.inputs])
            self.blocks.append((position.frame, samples))

    def _bars(self, _: int, __: int, position: Any, ___: bool) -> None:
        beat = position.frame / RATE * BPM / 60
        position.bar, position.beat = int(beat // 4) + 1, int(beat % 4) + 1
        position.tick = int((beat % 1) * 1920)
        position.beats_per_bar, position.beat_type, position.ticks_per_beat = 4, 4, 1920
        position.beats_per_minute, position.valid = BPM, jack._lib.JackPositionBBT

    def command(self, text: str) -> None:
        assert self.jalv.stdin is not None
        self.jalv.stdin.write(text + "\n")
        self.jalv.stdin.flush()
        time.sleep(0.2)

    def play(self, seconds: float) -> list[tuple[int, Samples]]:
        """From the first frame of the song: blocks, and where the song was."""
        self.client.transport_stop()
        self.client.transport_frame = 0
        time.sleep(0.3)
        self.blocks.clear()
        self.client.transport_start()
        time.sleep(seconds)
        self.client.transport_stop()
        time.sleep(0.2)
        return list(self.blocks)


@pytest.fixture
def session(
    plugin: None, companion: Companion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """Connected to the companion and to JACK."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(jack_server(tmp_path / "jackd.log", period=PERIOD))
        variables = {**os.environ, **environment(tmp_path, companion.port)}
        with (tmp_path / "jalv.log").open("w") as log:
            jalv = subprocess.Popen(
                ("jalv", URI), stdin=subprocess.PIPE, stdout=log, stderr=log, text=True,
                env={**variables, "LV2_PATH": _lv2_path(tmp_path)},
            )  # fmt: skip
        stack.enter_context(jalv)
        stack.callback(jalv.kill)
        running = Session(jalv)
        with running.client:
            end = time.monotonic() + 30
            while (
                len(ports := running.client.get_ports("AudioLDM", is_audio=True, is_output=True))
                < 2
            ):
                assert time.monotonic() < end, (tmp_path / "jalv.log").read_text()
                time.sleep(0.1)
            for output, port in zip(ports, running.inputs, strict=True):
                running.client.connect(output, port)
            time.sleep(1.5)
            yield running


def _exact(played: list[tuple[int, Samples]], sound: Samples, lag: int) -> int:
    """How many blocks are the sound to the bit, `lag` frames after their place in the song."""
    places = [(frame - lag, block) for frame, block in played]
    return sum(
        np.array_equal(block, sound[:, at : at + PERIOD])
        for at, block in places
        if 0 <= at <= sound.shape[1] - PERIOD
    )


def test_generate_to_sound_with_the_transport(session: Session, companion: Companion) -> None:
    import soundfile as sf

    before = set(companion.takes.glob("*.wav"))
    session.play(0.3)  # the plug-in learns the tempo
    session.command("set bars 1")
    session.command("set generate 1")
    session.command("set generate 0")
    end = time.monotonic() + 30
    while not (new := set(companion.takes.glob("*.wav")) - before):
        assert time.monotonic() < end, "no take"
        time.sleep(0.05)
    time.sleep(0.5)
    take, _ = sf.read(new.pop(), dtype="float32", always_2d=True)
    assert len(take) == 4 * 60 / BPM * RATE
    played = session.play(3)
    sound = np.broadcast_to(take.T, (2, len(take)))
    # We see jalv's output of this cycle or of one before; on a busy machine JACK loses some.
    exact = max(_exact(played, sound, lag) for lag in (0, PERIOD, 2 * PERIOD))
    print(f"{exact} of {len(take) // PERIOD} blocks are exact")
    assert exact > 0.6 * (len(take) // PERIOD)


@needs("lv2_validate", "sord_validate")
def test_the_bundle_is_valid(plugin: None) -> None:
    """But for words of other vendors, which come without a schema."""
    files = (str(LV2 / "manifest.ttl"), str(LV2 / "audioldm.ttl"))
    done = subprocess.run(("lv2_validate", *files), capture_output=True, text=True, check=False)
    vendors = ("http://moddevices.com/", "http://kxstudio.sf.net/")
    errors = (done.stdout + done.stderr).split("error: ")[1:]
    assert not [error for error in errors if not any(vendor in error for vendor in vendors)]
