"""The same instance under ThreadSanitizer, and under AddressSanitizer with UBSan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from companion import Companion
from probe import Probe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("sanitizer", ["thread", "address"])
def test_a_session_of_everything(
    start_probe: Callable[..., Probe], own_companion: Companion, tmp_path: Path, sanitizer: str
) -> None:
    probe = start_probe(own_companion.port, sanitizer)
    probe.connected()
    probe.ask("set bars 1")
    probe.ask("set loop 1")
    probe.ask("play 0")
    probe.generate()
    probe.ask("set trigger 1")
    probe.generate()
    probe.ask("set take 1")
    probe.ask("set capture 1")
    probe.until(lambda view: view["captured"] > 0.3)
    probe.ask("play 96000")
    probe.until(lambda view: len(view["takes"]) == 3)
    probe.ask("set capture 0")
    probe.until(lambda view: len(view["takes"]) == 4)
    probe.ask("edit inpaint 3 0.1 0.2")
    probe.ask("audition 2")
    probe.until(lambda view: len(view["takes"]) == 5)
    for command in (
        "rate 44100",
        "anchor 1 1000",
        "keep 1",
        "remove 2",
        "placement 5",
        "preset kick",
    ):
        probe.ask(command)
    probe.until(lambda view: view["num_preset_fields"])
    probe.ask(f"save {tmp_path / 'project'}")
    own_companion.stop()
    probe.until(lambda view: view["connection"] == 2, 10)
    probe.ask("generate")
    probe.ask(f"restore {tmp_path / 'project'}")
    own_companion.start()
    probe.until(lambda view: len(view["takes"]) >= 5, 60)
    probe.ask("cancel")
    probe.close()  # fails where a sanitizer found something
    probe.close = lambda: None  # type: ignore[method-assign]
