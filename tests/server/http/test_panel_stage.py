"""The stage page in a real browser, as on a tablet; and the panel on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from daw_process import quiet_settings, running_daw, url_in
from panel_page import BROWSER, DRIVER, Page, browsing

pytestmark = [
    pytest.mark.daw,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture(scope="module")
def page(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("stage")
    with (
        running_daw(*quiet_settings(tiny_folder, folder)) as (_, _, printed),
        browsing(url_in(printed)) as page,
    ):
        yield page


def test_pads_stream_transport_and_panic_on_a_tablet(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    page.driver.set_window_size(1024, 768)
    page.one("#to-stage").click()
    page.until(lambda: page.text("#state") == "connected")
    page.until(lambda: page.all("#live option:nth-child(2)"))
    page.one("#live option:nth-child(2)").click()
    page.until(lambda: len(page.all(".pad[data-state=ready]")) == 4)
    page.one("[data-pad='3'] .hit").click()
    page.until(lambda: page.all("[data-pad='3'][data-state=playing]"))
    page.one("#stream-prompt").send_keys("rain")
    page.one("#stream").click()
    page.until(lambda: page.text("#stream-state").startswith("playing"))
    corner = page.one("#xy span")
    assert corner.text == "small stream of water"
    ActionChains(page.driver).move_to_element(corner).click().perform()
    page.until(lambda: position(page) == pytest.approx([0.25, 0.75], abs=0.02))
    page.type("#bpm", "90")
    page.one("#bpm").send_keys(Keys.ENTER)
    page.until(lambda: value(page, "/ldm/transport/tempo") == [90.0])
    page.until(lambda: "voices" in page.text("#sound") and "." in page.text("#place"))
    page.shot("stage")
    tall = "return document.documentElement.scrollHeight - innerHeight"
    assert page.driver.execute_script(tall) <= 0
    page.one("#panic").click()
    page.until(lambda: not page.all("[data-state=playing]"))
    page.until(lambda: page.text("#stream-state") == "stopped")
    page.one("body").send_keys("3")
    page.until(lambda: page.all("[data-pad='3'][data-state=playing]"))
    page.one("body").send_keys(Keys.ESCAPE)
    page.until(lambda: not page.all("[data-state=playing]"))
    page.driver.set_window_size(400, 900)
    page.until(lambda: page.driver.execute_script("return innerWidth") <= 520)
    wide = "return document.documentElement.scrollWidth - innerWidth"
    assert page.driver.execute_script(wide) <= 0
    page.shot("stage-phone")
    assert page.complaints() == []


def position(page: Page) -> list[float]:
    return value(page, "/ldm/stream/xy")


def value(page: Page, address: str) -> list[float]:
    ask = "fetch(arguments[0]).then((a) => a.json()).then((a) => arguments[1](a.VALUE))"
    return list(page.driver.execute_async_script(ask, f"{address}?VALUE"))


def test_render_stays_in_reach_on_a_phone(page: Page) -> None:
    page.driver.get(page.driver.current_url.removesuffix("stage/"))
    page.driver.set_window_size(400, 800)
    page.until(lambda: page.driver.execute_script("return innerWidth") <= 520)
    page.type("#prompt", "bright")
    page.set("num_inference_steps", 2)
    page.driver.execute_script("scrollTo(0, document.documentElement.scrollHeight)")
    page.one("#submit").click()  # selenium clicks where it is: at the bottom of the screen
    page.until(lambda: "bright" in [title.text for title in page.all(".take .title")])
    assert page.driver.execute_script("return scrollY") > 0
    page.shot("phone-render")
