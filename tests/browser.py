"""A page in a real browser: headless Chromium by its own driver."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest


def started() -> Any:
    """A driver; it keeps what the page complains of, and what it asks for. The test is skipped where there is no browser."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, service = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not browser or not service:
        pytest.skip("there is no chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(service))


def check_quiet(driver: Any, address: str) -> None:
    """The browser had nothing to complain of, and asked for nothing but what lies at an address."""
    assert driver.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert asked
    assert {url for url in asked if not url.startswith((address, "data:"))} == set()


def keys(driver: Any, *pressed: str) -> None:
    """Press keys: letters, or names such as ``ESCAPE``."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    chain = ActionChains(driver)
    for key in pressed:
        chain.send_keys(getattr(Keys, key, key))
    chain.perform()


def click(driver: Any, selector: str) -> None:
    """Click the first element of a selector."""
    driver.find_element("css selector", selector).click()


def prefer(driver: Any, scheme: str | None) -> None:
    """Ask pages for ``light`` or ``dark``; ``None``: for neither."""
    features = [] if scheme is None else [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def until(driver: Any, script: str) -> Any:
    """What a JavaScript expression gives once it is true, within ten seconds."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(driver, 10, poll_frequency=0.02).until(
        lambda _: driver.execute_script(f"return {script}"), f"never true: {script}"
    )
