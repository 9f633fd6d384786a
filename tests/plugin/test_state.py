"""What the project keeps, and how it comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clap_host import ClapHost
from probe import Probe
from project_state import clap_state, noise, project, take, write


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_comes_back_whole_however_the_host_cuts_it(
    host: ClapHost, tmp_path: Path, piece: int
) -> None:
    samples = noise(5000)
    path = write(tmp_path / "a b ü.wav", samples)
    text = project(
        take(3, path, anchor=1234, fields={"bars": 2, "bpm": 133.5, "style": "a  b"}),
        prompt=r"a \\ backslash, a line\nand “ü”",
    )
    host.restore(clap_state(text, take=3, gain=0))
    whole = host.save()
    assert host.save(piece) == whole
    host.new("second")
    host.restore(whole, piece)
    np.testing.assert_array_equal(host.run(6234, 0)[:, 1234:], samples)
    assert host.save() == whole
    assert r"a \\ backslash, a line\nand “ü”".encode() in whole


def test_plays_in_the_first_block_after_loading(host: ClapHost, tmp_path: Path) -> None:
    """An export may begin as soon as the project is open."""
    samples = noise(512)
    host.restore(clap_state(project(take(1, write(tmp_path / "a.wav", samples)))))
    np.testing.assert_array_equal(host.run(512, 0, block=512), samples)


def test_a_missing_file_is_silent_and_its_recipe_stays(host: ClapHost, tmp_path: Path) -> None:
    state = clap_state(project(take(1, tmp_path / "gone.wav", fields={"bars": 1}, seed=77)))
    host.restore(state)
    assert not host.run(4000, 0).any()
    assert b"seed 77" in host.save()
    assert b"field bars i 1" in host.save()


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "take\ntake -1\ntake 5000\npath /x\n", "take 1\nfield\nfield a\n",
        "prompt\nplacement x y\n\n\n", "take 1\npath \nanchor 99999999999999999999 0\n",
    ],
)  # fmt: skip
def test_damaged_text_does_no_harm(host: ClapHost, text: str) -> None:
    for header in ("", "audioldm-project 1\n"):
        host.restore(clap_state(header + text))
        assert not host.run(4000, 0).any()


@pytest.mark.parametrize("header", ["audioldm-project 2", "audioldm-project", "prompt hail"])
def test_a_project_of_another_version_leaves_this_one_alone(
    host: ClapHost, tmp_path: Path, header: str
) -> None:
    samples = noise(4000)
    text = project(take(1, write(tmp_path / "a.wav", samples)))
    host.restore(clap_state(text))
    before = host.save()
    host.restore(clap_state(text.replace("audioldm-project 1", header).replace("rain", "hail")))
    assert host.save() == before
    np.testing.assert_array_equal(host.run(4000, 0), samples)


def test_a_project_of_another_version_is_said(
    start_probe: Callable[..., Probe], tmp_path: Path
) -> None:
    probe, saved = start_probe(), tmp_path / "saved"
    saved.write_text(project(prompt="hail").replace("audioldm-project 1", "audioldm-project 2"))
    probe.ask(f"restore {saved}")
    view = probe.view()
    assert "another version" in view["notice"]
    assert view["prompt"] == "rain on a tin roof"


def test_a_damaged_file_does_no_harm(host: ClapHost, tmp_path: Path) -> None:
    good = write(tmp_path / "a.wav", noise(1000)).read_bytes()
    random = np.random.default_rng(3)
    for trial in range(60):
        damaged = bytearray(good[: random.integers(1, len(good))])
        for _ in range(4):
            damaged[random.integers(0, min(len(damaged), 60))] = random.integers(0, 256)
        path = tmp_path / f"{trial}.wav"
        path.write_bytes(damaged)
        host.restore(clap_state(project(take(1, path))))
        host.run(64, 0)


def test_many_loads_leave_nothing_behind(host: ClapHost, tmp_path: Path) -> None:
    """Threads and file descriptors, counted in /proc."""
    path = write(tmp_path / "a.wav", noise(1000))
    process = Path(f"/proc/{host.process.pid}")
    counts = []
    for trial in range(12):
        host.new(f"n{trial}")
        host.restore(clap_state(project(take(1, path))))
        host.run(1000, 0)
        host.ask(f"close n{trial}")
        counts.append(
            (len(list((process / "task").iterdir())), len(list((process / "fd").iterdir())))
        )
    host.ask("use first")
    assert counts[-1] == counts[0]
