"""A real Chromium without a window, and what the page says in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_WAIT_S = 60
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900")
"""Without the sandbox: it refuses to run as root, which containers of CI are."""


@dataclass(frozen=True)
class Browser:
    """One window; `panels` are those of the dashboard that is open."""

    driver: Chrome

    def open(self, url: str) -> None:
        """Until every panel has its answer."""
        self.driver.get(url)
        self.settled()

    def settled(self) -> None:
        """Until nothing is asked any more."""
        busy = "return document.getElementById('rows').getAttribute('aria-busy')"
        WebDriverWait(self.driver, _WAIT_S).until(lambda driver: driver.execute_script(busy) == "false")

    def run(self, script: str, *arguments: object) -> Any:
        """The value that JavaScript returns."""
        return self.driver.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def one(self, css: str) -> WebElement:
        """The first element of a selector."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        """Of all elements of a selector, shown or not."""
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", css))

    def panel(self, title: str) -> WebElement:
        """By its heading."""
        script = "return [...document.querySelectorAll('article')].find((one) => one.querySelector('h3').textContent === arguments[0])"
        found: WebElement = self.run(script, title)
        return found

    def states(self) -> dict[str, str]:
        """Title of each panel and how it is: ok, empty, error, loading."""
        script = "return [...document.querySelectorAll('article')].map((one) => [one.querySelector('h3').textContent, one.dataset.state])"
        return dict(self.run(script))

    def complaints(self) -> list[str]:
        """What the console has got since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def size(self, width: int, scheme: str = "light") -> None:
        """Of the window, and what its user prefers."""
        preferred = {"name": "prefers-color-scheme", "value": scheme}
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preferred]})
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Of the machine, with the driver that came with it."""
    options = ChromeOptions()
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
