"""The ChucK program, in ChucK on a JACK server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from running_programs import (
    CLIENTS,
    Instrument,
    assert_only_changed_within,
    needs,
    run_program,
    running_jack,
)

from server.audio.waveform import Waveform

PROGRAM = CLIENTS / "chuck" / "audioldm.ck"
RECORD = Path(__file__).with_name("record.ck")

pytestmark = [pytest.mark.daw, needs("chuck", "jackd")]
Chuck = Callable[..., str]


@pytest.fixture(scope="module")
def chuck(instrument: Instrument, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chuck]:
    """Run the program with some arguments; returns what it prints."""
    with running_jack(tmp_path_factory.mktemp("jack") / "log.txt") as jack:

        def run(*arguments: object, port: int = instrument.port, beside: str = "") -> str:
            program = ":".join(map(str, (PROGRAM, *arguments)))
            environment = {**jack, "AUDIOLDM_OSC_PORT": str(port)}
            return run_program(("chuck", program, *filter(None, [beside])), environment=environment)

        yield run


def _take(printed: str) -> Path:
    return next(
        Path(line.removeprefix("take ").strip())
        for line in printed.splitlines()
        if line.startswith("take ")
    )


def test_a_prompt_becomes_sound(chuck: Chuck, tmp_path: Path) -> None:
    printed = chuck("low hum of chuck", 1.5, beside=f"{RECORD}:{tmp_path / 'heard.wav'}")
    assert "step 4 of 4" in printed
    assert "frames 72000 at 48000" in printed
    take = Waveform.read(_take(printed)).downmix()
    heard = Waveform.read(tmp_path / "heard.wav").downmix()
    # Not the first sample that is not zero: the recording has 16 bits, and the take begins softly.
    begins = np.subtract(*(np.flatnonzero(np.abs(x) > 0.01)[0] for x in (heard, take)))
    played = heard[begins : begins + take.size]
    assert played.size == take.size, "all of it is played"
    assert np.abs(played - take).max() < 1e-3, "what is played is the take"


def test_a_part_of_a_clip_is_made_anew_and_the_clip_stays(
    chuck: Chuck, instrument: Instrument
) -> None:
    clip = instrument.clip("for-chuck.wav", 1.0, 48000)
    before = clip.read_bytes()
    printed = chuck("high hiss of chuck", "0.25-0.5", clip)
    assert_only_changed_within(clip, _take(printed), 0.25, 0.5)
    assert clip.read_bytes() == before


def test_a_refusal_is_said(chuck: Chuck) -> None:
    printed = chuck("high hiss", "0.5-0.25", "/nowhere.wav")
    assert "bad_request: region '0.5:0.25'" in printed
    assert "take" not in printed


def test_nobody_answers_is_said(chuck: Chuck) -> None:
    # Port 9 (discard) has no server on a desktop machine.
    assert "nobody answers on port 9" in chuck("low hum", port=9)
