"""The Pure Data patch, in Pd: a prompt becomes arrays that sound, a region becomes an inpaint."""

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

PATCH = CLIENTS / "puredata" / "audioldm-help.pd"
WATCH = Path(__file__).with_name("watch.pd")
QUIET = ("pd", "-nogui", "-noaudio", "-nomidi", "-stderr", "-r", "48000")

pytestmark = [pytest.mark.daw, needs("pd")]


def _do(words: str) -> tuple[str, str]:
    """What a click on one of the patch's message boxes does."""
    return "-send", f"audioldm-do {words}"


@pytest.fixture(scope="module")
def session(instrument: Instrument) -> str:
    """What Pd prints while two takes are rendered and played, and one is inpainted."""
    prompt = (
        *_do(f"connect 127.0.0.1 {instrument.port}"),
        *_do("set num_waveforms_per_prompt 2"),
        *_do("set seed 11"),
        *_do("text low hum of pd 808"),
    )
    return run_program((*QUIET, "-open", PATCH, "-open", WATCH, *prompt))


def test_the_prompt_arrives_word_by_word(session: str, instrument: Instrument) -> None:
    assert "'low hum of pd 808'" in instrument.log.read_text()
    assert "audioldm: done 2" in session, session


def test_takes_fill_arrays_at_the_rate_of_pd(session: str) -> None:
    assert re.findall(r"frames: (\d+)", session)[:2] == ["48000", "48000"]


def test_the_take_is_heard(session: str) -> None:
    levels = [float(level) for level in re.findall(r"level: (\S+)", session)]
    begins = next(index for index, level in enumerate(levels) if level > 40)  # 100: full scale
    assert 0 in levels[begins:], "it ends"


def test_a_part_of_a_take_is_made_anew_and_the_take_stays(
    session: str, instrument: Instrument
) -> None:
    take = next(instrument.takes.glob("low-hum-of-pd*-2.wav"))
    inpainted = next(instrument.takes.glob("high-hiss-of-pd*.wav"))
    assert_only_changed_within(take, inpainted, 0.25, 0.5)


def test_nobody_answers_is_said(tmp_path: Path) -> None:
    quit_later = "#N canvas 0 40 450 300 12;\n#X obj 20 20 loadbang;\n#X obj 20 50 delay 5000;\n"
    quit_later += "#X msg 20 80 \\; pd quit;\n#X connect 0 0 1 0;\n#X connect 1 0 2 0;\n"
    (tmp_path / "quit.pd").write_text(quit_later)
    # Port 9 (discard) has no server on a desktop machine.
    prompt = (*_do("connect 127.0.0.1 9"), *_do("text rain"))
    printed = run_program((*QUIET, "-open", PATCH, "-open", tmp_path / "quit.pd", *prompt))
    assert "error engine_unavailable" in printed
