"""Makes `docs/images/report.png`: a run that breaks on purpose, its report, a picture of it.

    python docs/images/make_report_picture.py

Trains the lesson's small network on the embedded digits at 100 times its learning rate (seed 0,
a few seconds on a CPU), writes the report and lets a headless Chromium take the picture.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from steadytrain.lab.lesson.broken import BREAKAGES, break_run
from steadytrain.report.html import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE = {"width": 1280, "height": 1500}


def main() -> None:
    """Write the picture beside this file."""
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} was found. Install Chromium.")
    with tempfile.TemporaryDirectory() as folder:
        run_dir, _ = break_run(BREAKAGES[0], Path(folder) / "learning-rate-x100")
        page_path = write_report([run_dir])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            page = browser.new_page(viewport=SIZE)
            page.goto(page_path.as_uri())
            page.wait_for_timeout(3000)
            page.screenshot(path=Path(__file__).with_name("report.png"))
            browser.close()


if __name__ == "__main__":
    main()
