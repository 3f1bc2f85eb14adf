"""Takes the README's picture of the page: `make demo ARGS=--keep` first, then this with the address that it prints.

    python quickstart_picture.py http://127.0.0.1:PORT/runs/default/NAME [--output docs/images/quickstart.png]

Needs playwright from PyPI and Debian's chromium. The picture must stay below 200 KB.
"""

import argparse
import os
import sys

from playwright.sync_api import sync_playwright

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT_BYTES = 200_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the page of a run of the quickstart")
    parser.add_argument("--output", default=os.path.join(ROOT, "docs", "images", "quickstart.png"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    os.makedirs(os.path.dirname(options.output), exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1440, "height": 520}).new_page()
        tab.set_default_timeout(60_000)
        tab.goto(options.url)
        tab.locator("m-graph[data-drawn]").wait_for()
        # What moves into its place has arrived by then.
        tab.wait_for_timeout(3_000)
        tab.screenshot(path=options.output)
        browser.close()
    size = os.path.getsize(options.output)
    print(f"{options.output}: {size:,} bytes")
    return 0 if size <= LIMIT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
