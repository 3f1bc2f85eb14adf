#!/usr/bin/env python3
"""The page's models and deployments against a real `martlet server`: a model is quantized and deployed, looked at, talked
to, tagged, replaced and rolled back.

    python page_models_check.py [--martlet .build/debug/martlet] [--screenshots DIR]

Needs playwright from PyPI and Debian's chromium.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile

from playwright.sync_api import expect, sync_playwright

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from server import Server
from tuned_model import ask, tune, until, write_base


def shot(tab, folder, name):
    if folder:
        os.makedirs(folder, exist_ok=True)
        tab.screenshot(path=os.path.join(folder, name + ".png"), full_page=True)


def models(tab, server, folder):
    tab.goto(server.url + "/models")
    expect(tab.get_by_role("link", name="tune-quantize:v1")).to_be_visible()
    shot(tab, folder, "models")
    tab.get_by_role("link", name="tune-quantize:v1").click()
    expect(tab.get_by_role("heading", name="Family")).to_be_visible()
    expect(tab.locator(".family li")).to_have_count(2)
    expect(tab.get_by_role("link", name="chat")).to_be_visible()
    tab.get_by_role("button", name="Tag").click()
    tab.get_by_role("dialog").get_by_label("Tag").fill("production")
    tab.get_by_role("dialog").get_by_role("button", name="Tag").click()
    expect(tab.locator("h1 .chip", has_text="production")).to_be_visible()
    shot(tab, folder, "model")


def deployments(tab, server, base, folder):
    tab.goto(server.url + "/deployments")
    expect(tab.get_by_role("link", name="chat")).to_be_visible()
    shot(tab, folder, "deployments")
    tab.get_by_role("link", name="chat").click()
    expect(tab.locator("h1")).to_contain_text("ready")
    tab.get_by_label("Message").fill("Hello")
    tab.get_by_role("button", name="Send").click()
    expect(tab.locator(".talk .assistant p")).not_to_have_text("…")
    expect(tab.get_by_role("button", name="Send")).to_be_visible()
    assert len(tab.locator(".talk .assistant p").inner_text()) > 1
    tab.get_by_text("The request as a command").click()
    expect(tab.get_by_text(re.compile("^curl -N"))).to_be_visible()
    shot(tab, folder, "chat")
    tune(server, base, deploys=True)
    tab.get_by_role("button", name="Roll back").first.click()
    tab.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(tab.locator("dl.facts")).to_contain_text("Revision1Requests")
    expect(tab.locator("h1")).to_contain_text("ready")
    shot(tab, folder, "rolled-back")
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    until(lambda: ask(server, "GET", "/deployments")["items"], lambda found: not found)
    tab.goto(server.url + "/deployments")
    expect(tab.get_by_text("No deployments yet")).to_be_visible()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", default=os.path.join(HERE, "..", "..", ".build", "debug", "martlet"))
    parser.add_argument("--screenshots")
    parser.add_argument("--web", help="serve the page from this folder")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-page-models-")
    base = write_base(folder + "/base")
    wrong = []
    words = ["--web", arguments.web] if arguments.web else []
    with Server(os.path.abspath(arguments.martlet), "--sandbox", "plain", *words) as server, sync_playwright() as play:
        tune(server, base, deploys=True)
        browser = play.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        tab.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        tab.on("pageerror", lambda error: wrong.append(f"exception: {error}"))
        # A deployment that was just deleted is asked for once more.
        tab.on("console", lambda said: said.type == "error" and "404" not in said.text
               and wrong.append(f"{said.text} {said.location}"))
        models(tab, server, arguments.screenshots)
        deployments(tab, server, base, arguments.screenshots)
        browser.close()
    shutil.rmtree(folder, ignore_errors=True)
    assert not wrong, "the console had errors:\n" + "\n".join(wrong)
    print("page_models_check: models and deployments looked at, talked to, tagged, rolled back; no console error")


if __name__ == "__main__":
    sys.exit(main())
