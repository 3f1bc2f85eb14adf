"""The page against a real `martlet server`: a run is submitted in the editor, watched, looked into and run again.

    python page_server_check.py --martlet .build/debug/martlet [--screenshots DIR]

The parts of each view are checked against a double of the server by page_check.py and page_forms_check.py; here it is
whether the two sides fit. Needs playwright from PyPI and Debian's chromium.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from playwright.sync_api import expect, sync_playwright

MANIFEST = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: from-page-
spec:
  entrypoint: main
  arguments:
    parameters:
      - {name: word, value: hello}
  templates:
    - name: main
      dag:
        tasks:
          - {name: first, template: say}
          - {name: second, template: curve, depends: first}
          - {name: approve, template: approve, depends: second}
    - name: say
      container:
        image: busybox
        command: [sh, -c]
        args: ['for n in 1 2 3; do echo "line $n of {{workflow.parameters.word}}"; done']
    - name: curve
      container:
        image: busybox
        command: [sh, -c]
        args: ['for n in 1 2 3 4; do echo "{\\"step\\": $n, \\"loss\\": 0.$((9 - n))}" >> $MARTLET_METRICS_FILE; done']
    - name: approve
      suspend: {}
"""

SCHEDULE = """\
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 6 * * *"]
  timezone: Europe/Paris
  workflowSpec:
    entrypoint: main
    templates:
      - {name: main, container: {image: busybox, command: ["true"]}}
"""


class Server:
    def __init__(self, martlet, data):
        self.log = open(os.path.join(os.path.dirname(data), "server.log"), "wb")
        self.process = subprocess.Popen(
            [martlet, "server", "--listen", "127.0.0.1:0", "--data-dir", data], stdout=subprocess.PIPE,
            stderr=self.log, text=True)
        line = self.process.stdout.readline()
        assert "http://" in line, f"the server did not start: {line!r}"
        self.url = "http://" + line.split("http://", 1)[1].split()[0].rstrip("/")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


def shot(tab, folder, name):
    if folder:
        os.makedirs(folder, exist_ok=True)
        tab.screenshot(path=os.path.join(folder, name + ".png"))


def submit(tab, server, folder):
    tab.goto(server.url + "/submit")
    editor = tab.locator("textarea").first
    editor.fill(MANIFEST.replace("depends: second}", "depends: secnd}"))
    expect(tab.get_by_text(re.compile("did you mean")).first).to_be_visible()
    shot(tab, folder, "editor")
    editor.fill(MANIFEST)
    expect(tab.get_by_text(re.compile("did you mean"))).to_have_count(0)
    tab.get_by_role("button", name=re.compile("^(Submit|Run)")).first.click()
    tab.wait_for_url(re.compile("/runs/default/from-page-"))
    return re.search(r"/runs/default/(from-page-[a-z0-9]+)", tab.url)[1]


def look(tab, server, name, folder):
    expect(tab.locator("m-graph")).to_have_attribute("data-drawn", re.compile("^[3-9]"))
    expect(tab.get_by_role("button", name=re.compile("Resume|Approve")).first).to_be_visible()
    shot(tab, folder, "graph")
    for view, words in {"tree": "approve", "timeline": "second", "manifest": "generateName: from-page-",
                        "events": "Workflow", "logs": "line 3 of hello", "metrics": "loss"}.items():
        tab.goto(f"{server.url}/runs/default/{name}?tab={view}")
        expect(tab.get_by_text(re.compile(words)).first).to_be_visible()
        shot(tab, folder, view)


def go_on(tab, server, name, folder):
    tab.goto(f"{server.url}/runs/default/{name}")
    tab.get_by_role("button", name=re.compile("Resume|Approve")).first.click()
    dialog = tab.get_by_role("dialog")
    if dialog.count():
        dialog.get_by_role("button", name=re.compile("Resume|Approve|Go on")).first.click()
    expect(tab.locator("h1, .head").get_by_text("Succeeded").first).to_be_visible()
    shot(tab, folder, "succeeded")
    tab.goto(f"{server.url}/runs?phase=Succeeded")
    expect(tab.get_by_role("link", name=name)).to_be_visible()


def schedule(tab, server, folder):
    tab.goto(server.url + "/submit")
    tab.locator("textarea").first.fill(SCHEDULE)
    tab.get_by_role("button", name=re.compile("[Ss]chedule|Save")).first.click()
    tab.goto(server.url + "/schedules")
    expect(tab.get_by_text("nightly").first).to_be_visible()
    expect(tab.get_by_text(re.compile("06:00")).first).to_be_visible()
    shot(tab, folder, "schedules")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", default=".build/debug/martlet")
    parser.add_argument("--screenshots")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="martlet-page-")
    server = Server(arguments.martlet, os.path.join(folder, "data"))
    wrong = []
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            tab.set_default_timeout(20_000)
            expect.set_options(timeout=20_000)
            tab.on("pageerror", lambda error: wrong.append(f"exception: {error}"))
            tab.on("console", lambda said: said.type == "error" and wrong.append(f"{said.text} {said.location}"))
            name = submit(tab, server, arguments.screenshots)
            look(tab, server, name, arguments.screenshots)
            go_on(tab, server, name, arguments.screenshots)
            schedule(tab, server, arguments.screenshots)
            browser.close()
        assert not wrong, "the console had errors:\n" + "\n".join(wrong)
        print("page_server_check: submitted, watched, looked into, resumed and scheduled; no console error")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
