"""A real Chromium, headless, that may reach nothing but files: for the page's tests."""

import base64
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome")
DRIVER = "chromedriver"


def missing() -> str:
    """What this machine has not got; "" where there is a browser."""
    if not any(map(shutil.which, NAMES)):
        return "no chromium on PATH (Debian: apt-get install chromium chromium-driver)"
    return "" if shutil.which(DRIVER) else f"no {DRIVER} on PATH"


class Browser:
    """One tab. What it asked for and what it complained of is kept."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, path: Path) -> "Browser":
        self.driver.get(path.absolute().as_uri())
        return self

    def asks(self, command: str, **parameters: Any) -> Any:
        """Chromium's own protocol, for what a user does with the menu."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def run(self, script: str, *values: object) -> Any:
        return self.driver.execute_script(script, *values)

    def painted(self) -> None:
        """Wait for what a scroll or a focus sets off."""
        twice = "const [done] = arguments; requestAnimationFrame(() =>"
        self.driver.execute_async_script(f"{twice} requestAnimationFrame(done))")

    def size(self, width: int, height: int = 900) -> "Browser":
        self.asks(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        return self

    def dark(self, *, on: bool = True) -> "Browser":
        scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.asks("Emulation.setEmulatedMedia", media="", features=[scheme])
        return self

    def scripts(self, *, on: bool) -> "Browser":
        self.asks("Emulation.setScriptExecutionDisabled", value=not on)
        return self

    def move(self, x: float, y: float) -> None:
        """Put the pointer there, in pixels of what is seen."""
        self.asks("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.asks("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        shot = self.asks("Page.captureScreenshot")
        return base64.b64decode(shot["data"])

    def paper(self) -> bytes:
        """As PDF, on A4."""
        printed = self.asks(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True
        )
        return base64.b64decode(printed["data"])

    def _log(self, name: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(name)  # type: ignore[no-untyped-call]
        return entries

    def requests(self) -> list[str]:
        """Every address that was asked for since the last time."""
        entries = self._log("performance")
        events = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What the console says, a refusal by the page's own policy included."""
        return [str(entry["message"]) for entry in self._log("browser")]


FLAGS: Sequence[str] = (
    *("--headless=new", "--disable-gpu", "--hide-scrollbars", "--lang=en-US"),
    "--force-color-profile=srgb",
    # A page that would reach out finds nobody, and Chromium itself stays quiet.
    *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
)


@contextmanager
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    options = ChromeOptions()
    options.binary_location = found or ""
    for flag in FLAGS:
        options.add_argument(flag)
    if os.geteuid() == 0:  # its sandbox refuses to run as root
        options.add_argument("--no-sandbox")
        options.add_argument("--disable-dev-shm-usage")
    logged = {"performance": "ALL", "browser": "ALL"}
    options.set_capability("goog:loggingPrefs", logged)
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options.add_argument(f"--user-data-dir={profile}")
        driver = Chrome(options, Service(shutil.which(DRIVER)))
        try:
            driver.get("about:blank")
            tab = Browser(driver)
            tab.requests()  # those of Chromium's own first page
            yield tab
        finally:
            driver.quit()
