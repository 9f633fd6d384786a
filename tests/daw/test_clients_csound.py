"""The Csound orchestra, in Csound with its dummy audio module, which runs in real time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running_programs import (
    CLIENTS,
    Instrument,
    assert_only_changed_within,
    needs,
    run_program,
)

from osc_bridge.messages.addresses import TABLE, type_tag
from osc_bridge.messages.message import Reply

ORCHESTRA = CLIENTS / "csound" / "audioldm.csd"

pytestmark = [pytest.mark.daw, needs("csound")]


def _csound(port: int, **macros: object) -> str:
    """What Csound prints."""
    names = {"PORT": port, **macros}
    flags = [f"--omacro:{name}={value}" for name, value in names.items()]
    return run_program(("csound", "-+rtaudio=dummy", "-b480", "-B2048", *flags, ORCHESTRA))


def _take(printed: str) -> Path:
    found = re.search(r"take 0: (.+\.wav)", printed)
    assert found, printed
    return Path(found[1])


def test_a_prompt_becomes_sound(instrument: Instrument) -> None:
    printed = _csound(instrument.port, PROMPT="low hum of csound", SECONDS=1.5)
    assert "step 4 of 4" in printed
    assert _take(printed).is_file()
    levels = [float(level) for level in re.findall(r"level ([\d.]+)", printed)]
    assert max(levels) > 0.01, printed
    assert "0 errors in performance" in printed


def test_a_part_of_a_clip_is_made_anew_and_the_clip_stays(instrument: Instrument) -> None:
    clip = instrument.clip("for-csound.wav", 1.0, 48000)
    before = clip.read_bytes()
    printed = _csound(instrument.port, PROMPT="high hiss", CLIP=clip, REGION="0.25:0.5")
    assert_only_changed_within(clip, _take(printed), 0.25, 0.5)
    assert clip.read_bytes() == before


def test_a_refusal_is_said(instrument: Instrument) -> None:
    printed = _csound(instrument.port, PROMPT="rain", CLIP="/nowhere.wav", REGION="0.25:0.5")
    assert "not_found: '/nowhere.wav' is not a file" in printed


def test_nobody_answers_is_said() -> None:
    # Port 9 (discard) has no server on a desktop machine.
    assert "nobody answers on port 9" in _csound(9)


def test_the_types_that_are_listened_for_are_those_of_the_address_table() -> None:
    listened = re.findall(r'OSClisten gireplies, "([^"]+)", "([^"]+)"', ORCHESTRA.read_text())
    replies: dict[str, type[Reply]] = {reply.address: reply for reply in TABLE.replies}
    assert len(listened) == 4
    for address, types in listened:
        assert types == "".join(type_tag(field) for field in replies[address].arguments())
