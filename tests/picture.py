"""Takes the picture of the search page again: ``python -m tests.picture``, with nothing else to do on the machine.

It needs Chromium with its driver, and squad-articles in the folder that ``ANCE_IR_DATA`` names.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from ance_ir.datasets import load_dataset
from ance_ir.indexes import index_corpus, parse_passages
from ance_ir.models import DenseEncoder
from ance_ir.serve.bench.running import running
from tests import browser
from tests.processes import free_port

PICTURE = Path(__file__).parent.parent / "docs" / "search-page.png"
ADDRESS = "?q=What+venue+did+Super+Bowl+50+take+place+in%3F&system=bm25&system=dense"
SIZE = {"width": 1280, "height": 760, "deviceScaleFactor": 1.25, "mobile": False}
COLOURS = 64
WARM = 20
"""Times that the page is opened before."""


def main(folder: str = "") -> None:
    """Serve the collection, and take the picture.

    Args:
        folder: has ``squad.ance``, an index of it, which is otherwise made, in a minute or two.
    """
    with TemporaryDirectory() as name, contextlib.chdir(folder or name):
        if not Path("squad.ance").exists():
            model = DenseEncoder.from_pretrained("all-MiniLM-L6-v2")
            index_corpus(Path("squad.ance"), model, load_dataset("squad-articles").store(), parse_passages("maxp:128,4"), verbose=True)
        systems = ("bm25", "dense=squad.ance", "cascade=bm25 % 100 >> squad.ance")
        arguments = [argument for system in systems for argument in ("--system", system)]
        with running(["--dataset", "squad-articles", *arguments], free_port()) as server:
            PICTURE.write_bytes(_taken(f"http://127.0.0.1:{server.port}/{ADDRESS}"))


def _taken(address: str) -> bytes:
    """The page as PNG, the pointer on a relevant result."""
    from selenium.webdriver.common.action_chains import ActionChains

    driver = browser.started()
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
        for _ in range(WARM):
            driver.get(address)
            browser.until(driver, "document.querySelectorAll('.hit').length === 20 && !document.querySelector('[aria-busy]')")
        browser.until(driver, "document.querySelector('.badge.good')")
        ActionChains(driver).move_to_element(driver.find_element("css selector", ".hit:has(.good)")).perform()
        shown = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
        fewer = shown.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    finally:
        driver.quit()
    written = io.BytesIO()
    fewer.save(written, "png", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    main(*sys.argv[1:])
