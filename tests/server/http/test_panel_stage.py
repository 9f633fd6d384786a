"""The stage page in a real browser, as on a tablet; and the panel on a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import daw
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
    page.until(lambda: len(page.all(".pad")) == 4)
    page.until(lambda: page.all("[data-pad='3'][data-state=ready]"))
    page.one("[data-pad='3'] .hit").click()
    page.until(lambda: page.all("[data-pad='3'][data-state=playing]"))
    page.one("#stream-prompt").send_keys("rain")
    page.one("#stream").click()
    page.until(lambda: page.text("#stream-state").startswith("playing"))
    corner = page.one("#xy span")
    assert corner.text == "small stream of water"
    ActionChains(page.driver).move_to_element(corner).click().perform()
    page.until(lambda: position(page) == pytest.approx([0.25, 0.75], abs=0.02))
    page.one("#bpm").click()
    page.one("#bpm").send_keys(Keys.CONTROL, "a", Keys.NULL, "90", Keys.ENTER)
    page.until(lambda: value(page, "/ldm/transport/tempo") == [90.0])
    page.one("#listen").click()
    page.until(lambda: page.one("#listen").get_attribute("aria-pressed") == "true")
    page.one("#listen").click()
    page.until(lambda: not page.one("#listen-state").is_displayed())
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


def test_a_take_is_named_filed_found_and_dragged_out(page: Page) -> None:
    from selenium.webdriver import Keys

    page.driver.get(page.driver.current_url.removesuffix("stage/"))
    page.driver.set_window_size(1400, 1000)
    page.until(lambda: "LUFS" in page.text(".take .facts"))  # the pads' takes are there
    take = page.one(".take").get_attribute("data-take")
    page.one(".take .rename").click()
    page.type(".take [name=name]", "Rain: soft")
    page.type(".take [name=folder]", "weather/rain")
    page.one(".take [name=folder]").send_keys(Keys.ENTER)
    page.until(lambda: page.text(".take .title") == "Rain: soft")
    page.one(".take .keep").click()
    page.until(lambda: page.text(".take .keep") == "★")
    url = rf"http://[^ ]+/jobs/{take.replace('/', '/takes/')}\?download=true"
    assert re.fullmatch(rf"audio/wav:Rain_ soft\.wav:{url}", page.dragged_from(".take"))
    page.type("#search", "soft rain")
    page.until(lambda: [card.text for card in page.all(".take .title")] == ["Rain: soft"])
    page.type("#search", "")
    page.one("#in-folder option:nth-child(2)").click()
    page.until(lambda: [card.text for card in page.all(".take .title")] == ["Rain: soft"])
    page.one("#only-kept").click()
    page.until(lambda: page.all(".take.kept"))
    page.type("#take-tempo", "90")
    page.one(".take .play").click()
    page.until(lambda: page.all(".take .play.on"))
    page.shot("takes")
    assert page.complaints() == []

    port = page.driver.current_url.split(":")[2].split("/")[0]
    code, listed, errors = daw("takes", "find", "--folder", "weather", "--http-port", port)
    assert (code, listed.split()[0]) == (0, take), errors
    marks = ("--name", "Rain", "--folder", "", "--no-favourite", "--json", "--http-port", port)
    code, marked, errors = daw("takes", "mark", take, *marks)
    shown = json.loads(marked)
    assert (shown["name"], shown["folder"], shown["kept"]) == ("Rain", "", False), errors
    assert daw("takes", "folders", "--http-port", port)[1] == ""
