"""The sample library and its map in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from daw_process import quiet_settings, running_daw, url_in
from panel_page import BROWSER, DRIVER, Page, browsing
from sample_folder import noise, tone, write_library

from server.config import built_in_model

pytestmark = [
    pytest.mark.daw,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with (
        running_daw(*quiet_settings(built_in_model(), tmp_path)) as (_, _, printed),
        browsing(url_in(printed)) as page,
    ):
        page.until(lambda: page.one("#tabs").is_displayed())
        yield page


def test_a_folder_is_added_and_its_sounds_are_found_and_used(page: Page, tmp_path: Path) -> None:
    noise(tmp_path / "sounds" / "hiss.wav", seconds=3.0)
    tone(tmp_path / "sounds" / "beep 120bpm loop.wav")
    page.one("#tab-library").click()
    page.type("#folder", str(tmp_path / "sounds"))
    page.one("#folder-form button").click()
    page.until(lambda: "indexed, 2 sounds" in page.text("#folders"))
    page.type("#library-search [name=query]", "heavy rain")
    page.until(lambda: "similarity" in page.text(".sound .facts"))
    assert page.text(".sound .title") == "hiss.wav"
    page.type("#library-search [name=query]", "")
    page.type("#library-search [name=note]", "A")
    page.until(lambda: page.text(".sound .facts").startswith("2.00 s · A4 · 120 BPM · -"))
    page.until(lambda: [e.text for e in page.all(".sound .title")] == ["beep 120bpm loop.wav"])
    page.until(lambda: "loop" in page.text(".sound .facts"))
    page.type("#library-search [name=tempo]", "90")
    page.one(".sound .play").click()
    page.until(lambda: page.all(".sound .play.on"))
    page.shot("library")
    dragged = page.dragged_from(".sound")
    assert re.fullmatch(
        r"audio/wav:beep 120bpm loop.wav:http://[^ ]+/sounds/\d+\?download=true", dragged
    )
    page.one(".sound button:nth-of-type(2)").click()
    page.until(lambda: "beep 120bpm loop.wav, 2.00 s" in page.text("#clip-hint"))
    page.one("#tab-takes").click()
    assert not page.one("#library-panel").is_displayed()

    (tmp_path / "set.yaml").write_text(SET)
    ldm(page, "live/load", str(tmp_path / "set.yaml"))
    page.one("#tab-map").click()
    page.until(lambda: page.text("#map-hint") == "2 sounds")
    canvas = page.one("#map-canvas").size
    lasso(page, canvas["width"] - 4, canvas["height"] - 4)
    page.until(lambda: page.text("#chosen-count") == "2 sounds")
    page.until(lambda: page.one("#to-pad").is_displayed())
    page.one("#put").click()
    page.until(lambda: page.text("#chosen-count") == "2 sounds are on found")
    page.shot("map-to-pad")
    pads = [pad["arguments"] for pad in ldm(page, "pad/list")]
    assert pads == [[1, "found", "ready", 2, 0, "", "library"]]
    assert page.complaints() == []


SET = """
name: Found
pads: [{name: found, prompt: anything, mode: one_shot, seconds: 0.3, num_inference_steps: 1}]
"""


def test_the_map_moves_at_30_frames_a_second_and_listens_to_keys(tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains, Keys

    sounds = tmp_path / "sounds"
    sounds.mkdir()
    write_library(tmp_path / "state", built_in_model(), sounds, 20_000)
    with (
        running_daw(*quiet_settings(built_in_model(), tmp_path)) as (_, _, printed),
        browsing(url_in(printed)) as page,
    ):
        page.until(lambda: page.one("#tabs").is_displayed())
        page.one("#tab-map").click()
        page.until(lambda: page.text("#map-hint") == "20000 sounds")
        time.sleep(0.5)
        page.shot("map")
        frames = page.driver.execute_async_script(FRAMES)
        assert frames > 30, f"{frames:.0f} frames a second"
        page.driver.execute_script("document.querySelector('#map-canvas').focus()")
        ActionChains(page.driver).send_keys(Keys.ARROW_RIGHT).perform()
        page.until(lambda: page.text("#map-hint").endswith(" s"))
        first = page.text("#map-hint")
        ActionChains(page.driver).send_keys(Keys.ARROW_RIGHT * 3 + "+++").perform()
        page.until(lambda: page.text("#map-hint") != first)
        ActionChains(page.driver).send_keys(Keys.ENTER).perform()
        page.until(lambda: len(page.all("#chosen .sound")) == 1)
        page.shot("map-near")
        lasso(page)
        page.until(lambda: page.text("#chosen-count").split()[0] not in ("0", "1"))
        assert not page.one("#to-pad").is_displayed()  # no live set is loaded


def ldm(page: Page, address: str, *arguments: str) -> list[dict[str, Any]]:
    """What a command of the stage is answered over HTTP."""
    url = f"{page.driver.current_url.split('/panel')[0]}/ldm/{address}"
    return list(httpx.post(url, json=arguments, trust_env=False).raise_for_status().json())


FRAMES = """
const done = arguments[0], canvas = document.querySelector("#map-canvas");
const before = performance.now();
let frames = 0;
const step = () => {
  canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: frames % 2 ? 40 : -40, bubbles: true}));
  frames += 1;
  if (performance.now() - before < 2000) requestAnimationFrame(step);
  else done(frames / (performance.now() - before) * 1000);
};
requestAnimationFrame(step);
"""


def lasso(page: Page, width: int = 400, height: int = 300) -> None:
    from selenium.webdriver import ActionChains, Keys

    canvas = page.one("#map-canvas")
    chain = ActionChains(page.driver).key_down(Keys.SHIFT)
    chain.move_to_element_with_offset(canvas, -width // 2, -height // 2).click_and_hold()
    for x, y in ((width, 0), (0, height), (-width, 0)):
        chain.move_by_offset(x, y)
    chain.release().key_up(Keys.SHIFT).perform()
