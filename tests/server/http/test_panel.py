"""The panel in a real browser, its server killed and started again in between.

``make test-panel`` runs this alone. What the browser showed is left in ``out/screenshots``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet_run import make_models
from panel_page import BROWSER, DRIVER, Page, browsing
from server_run import wav

from benchmarks.server_process import ServerProcess

pytestmark = [
    pytest.mark.daw,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture
def server(tiny_folder: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tiny_folder, tmp_path / "server")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def page(server: ServerProcess) -> Iterator[Page]:
    with browsing(server.url) as page:
        yield page


def takes(server: ServerProcess) -> list[dict[str, Any]]:
    answer = httpx.get(f"{server.url}/v1/takes", trust_env=False)
    return [dict(take) for take in answer.json()]


def test_prompt_clip_inpaint_cancel_reload(
    server: ServerProcess, page: Page, tmp_path: Path
) -> None:
    page.type("#prompt", "low hum")
    page.set("num_inference_steps", 4)
    page.set("audio_length_in_s", 1)
    page.one("#submit").click()
    page.until(lambda: len(page.all(".take")) == 1)
    page.until(lambda: page.one(".take .wave").get_property("children"))
    assert takes(server)[0]["prompt"] == "low hum"

    page.kind("transfer")
    (tmp_path / "loop.wav").write_bytes(wav(2.0))
    page.one("#file").send_keys(str(tmp_path / "loop.wav"))
    page.until(lambda: "loop.wav, 2.00 s" in page.text("#clip-hint"))
    page.set("num_inference_steps", 4)
    page.one("#submit").click()
    page.until(lambda: len(page.all(".take")) == 2)

    page.kind("inpaint")
    page.set("num_inference_steps", 4)
    drag(page, 0.25, 0.5)
    page.until(lambda: "Now: 0." in page.text("#clip-hint"))
    page.one("#submit").click()
    page.until(lambda: len(page.all(".take")) == 3)
    job = httpx.get(f"{server.url}/v1/jobs?limit=1", trust_env=False).json()[0]
    start, end = map(float, job["request"]["regions"].split(":"))
    assert start == pytest.approx(0.5, abs=0.1)
    assert end == pytest.approx(1.0, abs=0.1)
    page.one("#spectra").click()
    page.until(lambda: len(page.all(".take")) == 3)
    page.one(".take button").click()
    page.until(lambda: page.text(".take button") == "Pause" or page.text(".take button") == "Play")
    page.shot("desktop")

    render_for_ever(page)
    server.kill()
    page.until(lambda: page.text("#state") == "reconnecting")
    server.start()
    page.until(lambda: page.text("#state") == "connected")
    page.until(lambda: page.all("#queue progress[value]"))
    page.one("#queue .cancel").click()
    page.until(lambda: not page.all("#queue li"))
    cancelled = httpx.get(f"{server.url}/v1/jobs?limit=1", trust_env=False).json()[0]
    assert cancelled["state"] == "cancelled"

    page.driver.refresh()
    page.until(lambda: len(page.all(".take")) == 3)
    assert page.one("#prompt").get_property("value") == "low hum"
    assert page.one("[id='f-num_waveforms_per_prompt']").get_property("value") == "64"
    gone = [c for c in page.complaints() if "ERR_" not in c]
    assert gone == []


def render_for_ever(page: Page) -> None:
    """A job that does not end by itself, with previews."""
    page.kind("text")
    page.set("num_inference_steps", 1000)
    page.set("num_waveforms_per_prompt", 64)
    page.one("#more summary").click()
    page.set("previews", 8)
    page.one("#submit").click()
    page.until(lambda: page.all("#queue progress[value]"))
    page.until(lambda: page.one("#queue .listen").is_displayed())
    page.one("#queue .listen").click()
    page.shot("queue")


def drag(page: Page, start: float, end: float) -> None:
    from selenium.webdriver import ActionChains

    wave = page.one("#clip-wave")
    page.until(lambda: wave.get_attribute("aria-busy") == "false")
    width = wave.size["width"]
    chain = ActionChains(page.driver)
    chain.move_to_element_with_offset(wave, round(width * (start - 0.5)), 0).click_and_hold()
    for part in range(1, 6):
        chain.move_by_offset(round(width * (end - start) / 5), part % 2)
    chain.release().perform()


def test_keyboard_and_phone(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    page.type("#prompt", "bright")
    page.set("num_inference_steps", 2)
    page.one("#prompt").send_keys(Keys.CONTROL, Keys.ENTER)
    page.until(lambda: len(page.all(".take")) == 1)
    assert not page.one("#models").is_displayed()  # there is one model
    page.one("#morph summary").send_keys(Keys.ENTER)
    page.driver.execute_script("document.querySelector('#pad').focus()")
    ActionChains(page.driver).send_keys(Keys.ARROW_LEFT * 20 + Keys.ARROW_UP * 4).perform()
    assert page.text("#blend") == "rain:0.70 + thunder:0.30"
    assert page.one("#prompt").get_property("value") == "rain:0.70 + thunder:0.30"
    page.driver.set_window_size(400, 900)
    page.until(lambda: page.driver.execute_script("return innerWidth") <= 520)
    wide = "return document.documentElement.scrollWidth - innerWidth"
    assert page.driver.execute_script(wide) <= 0
    page.shot("phone")
    assert page.complaints() == []


def test_settings_have_names_for_people_and_refusals_say_what_to_do(page: Page) -> None:
    page.one("#more summary").click()
    for kind in ("text", "transfer", "inpaint", "continue", "upscale", "vary", "morph"):
        page.kind(kind)
        labels = [label.text for label in page.all("#request .field label")]
        assert "Steps" in labels
        assert not [label for label in labels if not label or "_" in label or "num " in label]
    page.kind("text")
    page.type("#prompt", "bright")
    page.set("audio_length_in_s", 0.1)
    page.one("#submit").click()
    page.until(lambda: page.text("#message") == "Length must be at least 0.3 s (got 0.1)")
    page.shot("refusal")


def test_sliders_follow_their_numbers_and_bars_make_a_loop(
    server: ServerProcess, page: Page
) -> None:
    from selenium.webdriver import Keys

    slider = page.one("[id='f-num_inference_steps']").find_element("xpath", "../../input")
    usual = slider.get_property("value")
    steps = page.one("[id='f-num_inference_steps']")
    for empty in (lambda: steps.send_keys(Keys.CONTROL, "a", Keys.DELETE), steps.clear):
        page.set("num_inference_steps", 2)
        page.until(lambda: slider.get_property("value") == "2")
        empty()
        page.until(lambda: slider.get_property("value") == usual)
    page.type("#prompt", "hum A4")
    for field, value in (("num_inference_steps", 2), ("seed", 1), ("bpm", 120), ("bars", 1)):
        page.set(field, value)
    page.one("#submit").click()
    page.until(lambda: len(page.all(".take")) == 1)
    assert "A4" in page.text(".take .warnings")
    page.shot("warning")
    job = httpx.get(f"{server.url}/v1/jobs?limit=1", trust_env=False).json()[0]
    assert (job["request"]["loop"], job["request"]["bars"]) == (True, 1.0)


def test_published_models_are_offered_with_their_licence(page: Page) -> None:
    page.one("#add-model").click()
    page.until(lambda: page.one("#offers").is_displayed())
    offered = page.text("#offer-list")
    assert "audioldm-s-full-v2" in offered
    assert "GiB to download" in offered
    assert "CC BY-NC-SA" in page.text("#offer-licence")
    assert not page.one("#offer-add").is_enabled()
    page.one("#accept").click()
    assert page.one("#offer-add").is_enabled()
    page.shot("offers")
    page.one("#offers button[value=cancel]").click()
    page.until(lambda: not page.one("#offers").is_displayed())
    assert page.complaints() == []


def test_a_model_is_chosen_from_a_menu(tiny_folder: Path, tmp_path: Path) -> None:
    first, second, _ = make_models(tiny_folder, tmp_path / "models")
    server = ServerProcess(first, tmp_path / "server", "--model", str(second))
    server.start()
    try:
        with browsing(server.url) as page:
            page.until(lambda: page.text("#models") == "one\ntwo (unloaded)")
            page.choose("#models", "two")
            page.type("#prompt", "bright")
            page.set("num_inference_steps", 2)
            page.one("#submit").click()
            page.until(lambda: len(page.all(".take")) == 1)
            page.until(lambda: page.text("#models") == "one\ntwo")
            page.driver.refresh()
            page.until(lambda: page.one("#models").get_property("value") == "two")
            page.type("#search", "bright")
            page.one("#by-sound").click()
            page.until(lambda: "similarity" in page.text(".take .facts"))
            page.shot("models")
            assert page.complaints() == []
        job = httpx.get(f"{server.url}/v1/jobs?limit=1", trust_env=False).json()[0]
        assert job["request"]["model"] == "two"
    finally:
        server.stop()
