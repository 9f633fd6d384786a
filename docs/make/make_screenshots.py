"""Takes the pictures that the guides show and leaves them in docs/images.

    python docs/make/make_screenshots.py panel       the web panel in Chromium
    python docs/make/make_screenshots.py ardour      takes in Ardour (Linux, as root)
    python docs/make/make_screenshots.py plugin      the plug-in in Ardour and Qtractor

All drive the real programs with the same code as the tests, on the built-in model.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import pytest
from PIL import Image, ImageGrab

ROOT: Final = Path(__file__).parents[2]
sys.path += [
    str(ROOT / "tests" / place)
    for place in (
        "rigs",
        "rigs/engines",
        "rigs/inputs",
        "rigs/programs",
        "server/http",
        "daw/ardour",
    )
]
sys.path.insert(0, str(ROOT))

import rig  # noqa: E402
import tiny_model  # noqa: E402
from test_panel import Page, browsing  # noqa: E402

from benchmarks.server_process import ServerProcess  # noqa: E402
from osc_bridge.cli import main as audioldm_daw  # noqa: E402
from server.config import built_in_model  # noqa: E402

IMAGES: Final = Path(__file__).parents[1] / "images"
PANEL_PROMPTS: Final = (
    "birds singing in a forest",
    "a techno drum loop at 120 bpm",
    "thunder",
    "a dog barking",
)
PROMPT_FROM_FILE: Final = """local real = os
local os = setmetatable ({ getenv = function (name)
  if name ~= "AUDIOLDM_PROMPT" then return real.getenv (name) end
  return io.open (real.getenv ("TEST_FOLDER") .. "/prompt.txt"):read ("a")
end }, { __index = real })
"""
SELECT: Final = """return function ()
  Editor:set_loop_range (Temporal.timepos_t (%d), Temporal.timepos_t (%d), "loop")
  Editor:access_action ("Editor", "select-loop-range")
end
"""
PLUGIN_TESTS: Final = (
    "tests/plugin/test_ardour.py::test_typed_into_and_dragged_onto_a_track[VST3]",
    "tests/plugin/test_qtractor.py::test_typed_played_dragged_and_saved",
)
PLUGIN_PICTURES: Final = {
    "plugin-ardour-vst3": ("plugin-ardour.png", (0, 22, 1400, 828)),
    "plugin-qtractor": ("plugin-qtractor.png", (38, 74, 1214, 890)),
}
"""What the tests leave; its name here, and the part that is shown."""
RATE: Final = 48000
CLICKS: Final = (
    ("a dog barking", 2.0, 3.0),
    ("birds singing in a forest", 8.0, 12.0),
    ("a techno drum loop at 120 bpm", 12.0, 16.0),
)
"""What is typed, and the seconds that are selected: the first within the clip, from 2 s to 8 s."""


def panel(folder: Path) -> None:
    """The panel with takes, their spectrograms and a job in the queue."""
    server = ServerProcess(built_in_model(), folder)
    server.start()
    try:
        with browsing(server.url) as page:
            _fill(page)
            page.driver.set_window_size(1400, 900)
            page.driver.save_screenshot(str(folder / "panel.png"))
    finally:
        server.stop()
    _keep(Image.open(folder / "panel.png"), "panel.png")


def _fill(page: Page) -> None:
    for number, prompt in enumerate(PANEL_PROMPTS, 1):
        page.type("#prompt", prompt)
        page.one("#submit").click()
        page.until(lambda wanted=number: len(page.all(".take")) == wanted)
    page.one("#spectra").click()
    page.type("#prompt", "heavy rain on a tin roof")
    time.sleep(2)  # spectrograms are drawn one after the other


def ardour(folder: Path) -> None:
    """A clip with a part made anew, and new sounds on tracks of their own."""
    if "AUDIOLDM_PICTURE" not in os.environ:  # Ardour's OSC port is fixed: a network of its own
        command = ("unshare", "-n", sys.executable, __file__, "ardour")
        subprocess.run(command, check=True, env={**os.environ, "AUDIOLDM_PICTURE": "1"})
        return
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    clip = str(folder / "source.wav")
    words = ("render", "heavy rain on a tin roof", "--seconds", "6", "--seed", "3", "-o", clip)
    audioldm_daw([*words, "--sample-rate", str(RATE)])
    selections = {
        f"select_{number}": SELECT % (round(start * RATE), round(end * RATE))
        for number, (_, start, end) in enumerate(CLICKS)
    }
    actions = {"audioldm_from_file": rig.ours(PROMPT_FROM_FILE), **selections}
    with rig.running_ardour(folder, built_in_model(), actions) as program:
        program.do("prepare")
        program.until_regions(1, "prepared")
        for number, (prompt, _, _) in enumerate(CLICKS):
            (folder / "prompt.txt").write_text(prompt)
            program.do(f"select_{number}")
            program.do("audioldm_from_file")
            program.until_regions(number + 2, "clicked")
        program.send("Editor/zoom-to-extents")
        time.sleep(4)  # waveforms are drawn in the background
        screen = ImageGrab.grab(xdisplay=program.display)
    _keep(screen.crop(screen.getbbox()), "ardour.png")


def plugin(_: Path) -> None:
    """As the plug-in's tests leave it, but with takes of the built-in model."""
    tiny_model.make_tiny_folder = lambda _: built_in_model()
    # Plain: some modules were imported before pytest could rewrite their assertions.
    if pytest.main([*PLUGIN_TESTS, "-q", "--assert=plain", "--reruns=2", f"--rootdir={ROOT}"]):
        raise SystemExit("the tests have failed: no pictures")
    for test_name, (name, box) in PLUGIN_PICTURES.items():
        _keep(Image.open(ROOT / "out" / "screenshots" / f"{test_name}.png").crop(box), name)


def _keep(picture: Image.Image, name: str) -> None:
    """Few colours, so that the file stays small."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / name
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


def main() -> None:
    """One picture, or all."""
    pictures = {"panel": panel, "ardour": ardour, "plugin": plugin}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", nargs="?", choices=pictures)
    chosen = parser.parse_args().picture
    for name in [chosen] if chosen else pictures:
        with tempfile.TemporaryDirectory() as folder:
            pictures[name](Path(folder))


if __name__ == "__main__":
    main()
