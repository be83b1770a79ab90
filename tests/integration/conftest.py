"""The browser that tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import browser


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    driver = browser.started()
    yield driver
    driver.quit()
