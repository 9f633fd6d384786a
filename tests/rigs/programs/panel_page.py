"""The panel in a browser, as a person uses it. What it showed is left in ``out/screenshots``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SHOTS = Path(__file__).parents[3] / "out" / "screenshots"


@contextmanager
def browsing(url: str) -> Iterator[Page]:
    """The panel in a browser of its own."""
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("headless=new", "no-sandbox", "window-size=1400,1000", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = selenium.ChromeService(DRIVER)
    driver = selenium.Chrome(options, service)
    try:
        yield Page(driver, url)
    finally:
        driver.quit()


class Page:
    """The panel as a person uses it."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get(f"{url}/")
        self.until(lambda: self.text("#state") == "connected")

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def type(self, selector: str, text: str) -> None:
        element = self.one(selector)
        element.clear()
        element.send_keys(text)

    def kind(self, kind: str) -> None:
        self.one(f"#kind label[data-kind={kind}]").click()

    def choose(self, selector: str, value: str) -> None:
        self.one(f"{selector} option[value={value}]").click()

    def set(self, field: str, value: object) -> None:
        self.type(f"[id='f-{field}']", str(value))

    def until(self, true: Callable[[], Any]) -> None:
        """Wait until ``true()``; elements may be replaced meanwhile."""
        from selenium.common.exceptions import WebDriverException

        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if true():
                    return
            except WebDriverException:
                pass
            time.sleep(0.05)
        self.shot("failed")
        raise TimeoutError(f"{self.text('body')}\n{self.complaints()}")

    def dragged_from(self, selector: str) -> str:
        """What the desktop or a DAW gets when a card is dragged onto it."""
        return str(
            self.driver.execute_script(
                "const data = new DataTransfer();"
                "document.querySelector(arguments[0]).dispatchEvent("
                "new DragEvent('dragstart', {dataTransfer: data}));"
                "return data.getData('DownloadURL');",
                selector,
            )
        )

    def complaints(self) -> list[str]:
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"panel-{name}.png"))
