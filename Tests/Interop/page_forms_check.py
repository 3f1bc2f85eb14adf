"""The page's forms in Chromium: pipelines, editor, schedules, charts, compare, settings, signing in, keys.

Needs playwright (PyPI), Debian's chromium and node. The server is the page's stand-in, so nothing leaves the loopback
interface. With --screenshots DIR every view is drawn there: dark, light and narrow.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import urllib.request

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIEWS = {
    "pipelines": "/pipelines", "pipeline": "/pipelines/default/finetune-qwen", "schedules": "/schedules",
    "schedule": "/schedules/default/nightly-eval", "submit": "/submit", "edit": "/submit?pipeline=finetune-qwen&in=default",
    "compare": "/compare?runs=uid-finetune-done,uid-finetune-failed,uid-finetune-live&smooth=0.9", "compare-none": "/compare",
    "tokens": "/settings", "secrets": "/settings?part=secrets", "audit": "/settings?part=audit", "models": "/models", "deployments": "/deployments",
}
# What the browser says by itself when a request fails; the page has to tell the reader, and each flow checks that.
EXPECTED_NOISE = "Failed to load resource"

# Controls without a name for screen readers, and ids that stand twice.
NAMELESS = """() => {
  const seen = (e) => e.getClientRects().length > 0;
  const name = (e) => (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.getAttribute("title") || e.textContent || "").trim();
  const bare = [...document.querySelectorAll("button, a[href], input, select, textarea, summary, [role=slider]")].filter((e) => seen(e) && !name(e));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return [...bare.map((e) => e.outerHTML.slice(0, 120)), ...ids.filter((id, i) => ids.indexOf(id) !== i)];
}"""


def until(page, script, argument=None):
    """Waits for a condition. Playwright's own wait needs eval, which the page's security policy forbids, as it should."""
    for _ in range(160):
        if page.evaluate(script, argument):
            return
        page.wait_for_timeout(50)
    raise TimeoutError(script)


class Server:
    """The stand-in server, as a process."""

    def __init__(self, *options):
        script = ROOT / "Tests/Web/fake_server.mjs"
        self.process = subprocess.Popen(["node", str(script), "--port", "0", *options], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def tell(self, path):
        request = urllib.request.Request(f"{self.url}/fake/{path}", data=b"", method="POST")
        return json.load(urllib.request.urlopen(request, timeout=10))

    def last(self, path):
        """The body of the last write to a path that ends so."""
        return [r["body"] for r in self.tell("requests") if r["path"].endswith(path)][-1]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)


class Checks:
    def __init__(self, browser, server, url):
        self.browser, self.server, self.url = browser, server, url
        self.failures = 0
        self.noise = []

    def check(self, name, holds, detail=""):
        print(f"{'ok  ' if holds else 'FAIL'} {name} {detail}".rstrip(), flush=True)
        self.failures += not holds

    def page(self, url=None, **options):
        options = {"viewport": {"width": 1280, "height": 820}, "timezone_id": "Europe/Paris", "locale": "en-GB", **options}
        context = self.browser.new_context(**options)
        context.set_default_timeout(8000)
        page = context.new_page()
        page.on("console", lambda m: m.type in ("error", "warning") and EXPECTED_NOISE not in m.text and self.noise.append(m.text))
        page.on("pageerror", lambda e: self.noise.append(str(e)))
        if url:
            page.goto(self.url + url)
        return page

    def quiet(self, name):
        self.check(f"no console error in {name}", not self.noise, "; ".join(self.noise)[:400])
        self.noise.clear()

    def gone(self, page):
        page.context.close()

    # The flows.

    def pipelines(self):
        page = self.page("/pipelines")
        page.wait_for_selector("a.item")
        self.check("pipelines have bars of their last runs", page.locator(".barcode a").count() > 40)
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        self.check("j and k walk the rows", page.evaluate("document.activeElement.textContent") == "finetune-qwen")
        page.keyboard.press("Enter")
        page.wait_for_selector("form.fields")
        self.check("enter opens the row", page.url.endswith("/pipelines/default/finetune-qwen"))
        self.check("an enum is a choice", page.locator("select#field-model option").count() == 2)
        page.get_by_role("button", name="Run", exact=True).click()
        self.check("a parameter without a value is asked for", page.evaluate("document.querySelector('#field-data').matches(':invalid')"))
        page.fill("#field-data", "it's <b>mine</b>")
        page.select_option("#field-model", "Qwen/Qwen3-1.7B")
        page.locator("form.fields summary").click()
        command = page.locator("form.fields m-command code").inner_text()
        self.check("the command says the same", "--from workflowtemplate/finetune-qwen -p model=Qwen/Qwen3-1.7B -p 'data=it'\\''s <b>mine</b>'" in command, command)
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_url("**/runs/default/fresh-*")
        body = self.server.last("/submit")
        self.check("only changed parameters are sent", body["parameters"] == {"model": "Qwen/Qwen3-1.7B", "data": "it's <b>mine</b>"}, str(body))
        page.go_back()
        page.wait_for_selector("form.fields")
        page.get_by_role("button", name="Delete").click()
        self.check("deleting asks and says what is lost", "definition is lost" in page.locator("dialog").inner_text())
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")
        self.quiet("pipelines")
        self.gone(page)

    def editor(self):
        page = self.page("/submit")
        area = page.locator("m-editor textarea")
        area.wait_for()
        page.wait_for_selector("aside [role=status]:text-is('None.')")
        self.check("parameters are a form", page.locator("#field-message").input_value() == "hello")
        area.focus()
        page.keyboard.press("Control+End")
        page.keyboard.type("  bad: 1")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        self.check("enter keeps the depth, tab indents", area.input_value().endswith("  bad: 1\n    "), repr(area.input_value()[-20:]))
        page.keyboard.press("Control+z")
        self.check("the browser's undo knows of it", area.input_value().endswith("  bad: 1\n  "))
        area.evaluate("(a) => { a.value = a.value.replace('entrypoint: main', 'entrypoint: mian'); a.dispatchEvent(new Event('input')); }")
        page.wait_for_selector(".problems li.error")
        words = page.locator(".problems li.error button").inner_text()
        self.check("problems have the words of the command line", words == '6:15: error: spec.entrypoint: no template is named "mian"', words)
        self.check("the line is marked", page.locator("m-editor .line.error i").inner_text() == "6")
        page.locator(".problems li.error button").click()
        place = area.evaluate("(a) => [document.activeElement === a, a.value.slice(0, a.selectionStart).split('\\n').length]")
        self.check("a problem jumps to its line", place == [True, 6], str(place))
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#toasts .bad")
        self.check("a refused manifest stays, with words", "the manifest has errors" in page.locator("#toasts").inner_text())
        page.wait_for_timeout(700)
        page.reload()
        area.wait_for()
        page.wait_for_selector("text=This is your draft")
        self.check("the draft outlives a reload", "mian" in area.input_value())
        page.get_by_role("button", name="Begin anew").click()
        until(page, "() => !document.querySelector('m-editor textarea').value.includes('mian')")
        area.focus()
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        self.check("escape, then tab leaves the editor", page.evaluate("document.activeElement.tagName") != "TEXTAREA")
        page.fill("#field-message", "good day")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/runs/default/fresh-*")
        self.check("the form's values go along", self.server.last("/submit")["parameters"] == {"message": "good day"})
        self.quiet("the editor")
        self.gone(page)

    def long_text(self):
        page = self.page("/submit")
        area = page.locator("m-editor textarea")
        area.wait_for()
        times = area.evaluate("""async (area) => {
          area.value = Array.from({ length: 5000 }, (_, i) => i % 50 ? `      key${i}: value ${i} {{inputs.parameters.x}} # note` : `  - source: |`).join("\\n");
          area.dispatchEvent(new Event("input"));
          area.focus();
          const frames = [];
          for (let i = 0; i < 40; i++) {
            area.setSelectionRange(90_000, 90_000);
            const begun = performance.now();
            document.execCommand("insertText", false, "x");
            await new Promise((done) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); }));
            frames.push(performance.now() - begun);
            area.scrollTop = i * 1200;
          }
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return { median: frames.sort((a, b) => a - b)[20], lines: document.querySelectorAll("m-editor .line").length, first: document.querySelector("m-editor .line i").textContent, top: area.scrollTop };
        }""")
        print(f"  a letter typed in 5,000 lines: median {times['median']:.0f} ms")
        self.check("only lines in view are drawn", times["lines"] < 120 and int(times["first"]) > 1000, str(times))
        gap = page.evaluate("""() => { const line = document.querySelectorAll("m-editor .line")[12], area = document.querySelector("m-editor textarea");
          return line.getBoundingClientRect().top - area.getBoundingClientRect().top - area.clientTop + area.scrollTop - (line.querySelector("i").textContent - 1) * 20; }""")
        self.check("ink lies under the text after scrolling", abs(gap) < 1, f"{gap:.1f} px off")
        self.quiet("long texts")
        self.gone(page)

    def keeping(self):
        page = self.page("/submit")
        page.locator("m-editor textarea").wait_for()
        page.get_by_role("button", name="Save as pipeline…").click()
        page.fill("dialog #field-name", "My First")
        page.get_by_role("button", name="Save", exact=True).click()
        page.wait_for_url("**/pipelines/default/my-first")
        text = self.server.last("/definitions")["text"]
        self.check("a run becomes a pipeline", "kind: WorkflowTemplate" in text and "name: my-first" in text and "generateName" not in text)
        page.get_by_role("link", name="Edit").click()
        page.locator("m-editor textarea").wait_for()
        self.check("a stored pipeline can be edited", "my-first" in page.locator("m-editor textarea").input_value())
        page.goto(f"{self.url}/submit")
        page.locator("m-editor textarea").wait_for()
        page.get_by_role("button", name="Save as pipeline…").click()
        page.fill("dialog #field-name", "my-first")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("button", name="Replace").click()
        page.wait_for_url("**/pipelines/default/my-first")
        self.check("replacing is asked for", self.server.last("/definitions")["replace"] is True)
        page.goto(f"{self.url}/submit")
        page.locator("m-editor textarea").wait_for()
        page.get_by_role("button", name="Save as schedule…").click()
        page.select_option("dialog #field-every", "every week")
        page.fill("dialog #field-time", "09:30")
        page.select_option("dialog #field-weekday", "Friday")
        page.get_by_role("button", name="Save", exact=True).click()
        page.wait_for_url("**/schedules/default/hello")
        text = self.server.last("/definitions")["text"]
        self.check("a run becomes a schedule", '- "30 9 * * 5"' in text and "timezone: Europe/Paris" in text and "    entrypoint: main" in text, text[:300])
        self.quiet("saving as")
        self.gone(page)

    def schedules(self):
        page = self.page("/schedules")
        page.wait_for_selector("a.item")
        self.check("what is late is told in words and amber", page.locator(".badge.p-Suspended", has_text="13 m 00 s late").count() == 1)
        page.get_by_role("button", name="Suspend refresh-index").click()
        page.get_by_role("button", name="Resume refresh-index").wait_for()
        page.get_by_role("button", name="Resume refresh-index").click()
        page.get_by_role("button", name="Suspend refresh-index").wait_for()
        self.check("a schedule is suspended and resumed", True)
        page.get_by_role("link", name="nightly-eval").click()
        page.wait_for_selector(".instants li")
        self.check("the next ten times are listed", page.locator(".instants li").count() == 10)
        page.get_by_role("button", name="Backfill…").click()
        page.get_by_role("button", name="Show times").click()
        page.wait_for_selector("dialog .instants li")
        shown = page.locator("dialog .instants li").count()
        self.check("backfill shows the instants first", shown == 4 and self.server.last("/backfill")["preview"] is True, f"{shown}")
        page.get_by_role("button", name="Start 3 runs").click()
        page.wait_for_selector("dialog", state="detached")
        self.check("then starts them", self.server.last("/backfill")["preview"] is False)
        page.get_by_role("button", name="Run now").click()
        page.locator("dialog").get_by_role("button", name="Run now").click()
        page.wait_for_url("**/runs/default/fresh-*")
        self.quiet("schedules")
        self.gone(page)

    def charts(self):
        page = self.page("/compare?runs=uid-finetune-done,uid-finetune-failed")
        page.wait_for_selector("m-chart .lines path")
        self.check("loss comes first", page.locator("m-chart figcaption").first.inner_text().startswith("loss"))
        self.check("two runs, two lines", page.locator("m-chart").first.locator(".lines path").count() == 2)
        page.locator("m-metrics input[type=range]").fill("0.9")
        page.wait_for_selector("m-chart .raw")
        until(page, "() => location.search.includes('smooth=0.9')")
        self.check("smoothing keeps the raw lines faint and stands in the address", page.locator("m-chart").first.locator(".raw").count() == 2)
        plot = page.locator("m-chart svg.plot").first
        plot.hover(position={"x": 200, "y": 80})
        page.wait_for_selector("m-chart .cursor")
        self.check("the crosshair is in every chart", page.locator("m-chart .cursor").count() == page.locator("m-chart svg.plot").count())
        before = plot.get_attribute("aria-valuenow")
        plot.focus()
        page.keyboard.press("ArrowRight")
        until(page, "(old) => document.querySelector('m-chart svg.plot').getAttribute('aria-valuenow') !== old", before)
        self.check("arrows move it and it speaks", "finetune-done" in plot.get_attribute("aria-valuetext"))
        page.get_by_label("Log scale").check()
        page.locator("m-metrics select").first.select_option("time")
        until(page, "() => location.search.includes('log=1') && location.search.includes('axis=time')")
        page.reload()
        page.wait_for_selector("m-chart .lines path")
        self.check("scale and axis outlive a reload", page.get_by_label("Log scale").is_checked())
        page.locator("m-chart .numbers summary").first.click()
        page.wait_for_selector("m-chart .numbers table tr")
        self.check("numbers are there as a table", 10 < page.locator("m-chart").first.locator(".numbers tbody tr").count() < 60)
        self.check("equal parameters are left out", page.locator("tr.differs th").first.inner_text() == "learning_rate")
        self.check("the verdict is in words", "than chance explains" in page.locator("m-compare").inner_text() or "cannot be told apart" in page.locator("m-compare").inner_text())
        page.get_by_role("link", name="Compare with this").click()
        until(page, "() => location.search.includes('runs=uid-finetune-failed')")
        self.quiet("compare")
        self.gone(page)

    def overlay(self):
        page = self.page("/runs/default/finetune-live?tab=metrics")
        page.wait_for_selector("m-chart .lines path")
        page.locator(".picker summary").click()
        page.locator(".picker li input").first.click()
        until(page, "() => document.querySelectorAll('m-chart')[0].querySelectorAll('.lines path').length === 2")
        self.check("another run is laid over and stands in the address", "with=uid-" in page.url)
        page.reload()
        page.wait_for_selector("m-chart .lines path")
        until(page, "() => document.querySelectorAll('m-chart')[0].querySelectorAll('.legend li').length === 2")
        names = page.locator("m-chart").first.locator(".legend span").all_inner_texts()
        self.check("its name is known after a reload", not any(n.startswith("uid-") for n in names), str(names))
        asked = []
        page.on("request", lambda r: "/metrics" in r.url and asked.append(r.url))
        page.wait_for_selector(".state:not(.off)")
        before = page.locator("m-chart .lines path").first.get_attribute("d")
        for _ in range(5):
            self.server.tell("metrics?uid=uid-finetune-live")
        until(page, "(old) => document.querySelector('m-chart .lines path').getAttribute('d') !== old", before)
        page.wait_for_timeout(1500)
        self.check("new points come by themselves, many events with one question", len(asked) == 1, str(asked))
        self.quiet("overlays")
        self.gone(page)

    def speed(self):
        page = self.page("/runs")
        page.wait_for_selector("m-app")
        spent = page.evaluate("""async () => {
          await import("/lib/chart.js");
          const chart = document.createElement("m-chart"), xs = Array.from({ length: 1000 }, (_, i) => i);
          document.querySelector("main").replaceChildren(chart);
          const series = Array.from({ length: 10 }, (_, s) => ({ id: String(s), name: `run ${s}`, look: s, xs, ys: xs.map((x) => Math.exp(-x / 300) + s / 20 + Math.sin(x * (s + 1)) / 30) }));
          const frame = () => new Promise((done) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); }));
          chart.render({ title: "loss", series, smoothing: 0, log: false, axis: "step", cursor: null });
          for (let i = 0; i < 10; i++) await frame();
          const timed = async (change) => { const all = []; for (let i = 0; i < 30; i++) { const begun = performance.now(); chart.render({ ...chart.state, ...change(i) }); chart.draw(); all.push(performance.now() - begun); await frame(); } return all.sort((a, b) => a - b)[15]; };
          return { smoothing: await timed((i) => ({ smoothing: 0.5 + i / 100 })), cursor: await timed((i) => ({ cursor: i * 30 })) };
        }""")
        self.check("ten series of a thousand points are described within a frame", spent["smoothing"] < 16, f"{spent['smoothing']:.1f} ms")
        self.check("the crosshair costs little", spent["cursor"] < 5, f"{spent['cursor']:.1f} ms")
        self.quiet("a big chart")
        self.gone(page)

    def settings(self):
        page = self.page("/settings")
        page.wait_for_selector("td")
        page.get_by_role("button", name="New token").click()
        page.fill("dialog #field-name", "notebook")
        page.fill("dialog #field-where", "team-a")
        page.get_by_role("button", name="Create").click()
        page.wait_for_selector("dialog #field-token")
        token = page.locator("dialog #field-token").input_value()
        self.check("a new token is shown once", token.startswith("mrt_") and self.server.last("/tokens")["roles"] == {"team-a": "editor"})
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Revoke notebook").wait_for()
        kept = page.evaluate("document.documentElement.outerHTML + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + [...document.querySelectorAll('input')].map((i) => i.value)")
        self.check("then it is nowhere", token not in kept)
        page.get_by_role("button", name="Revoke ci").click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        page.wait_for_selector("tr.gone >> text=ci")
        page.goto(f"{self.url}/settings?part=secrets")
        page.get_by_role("button", name="New secret").click()
        page.fill("dialog #field-name", "canary")
        page.fill("dialog #field-keys", "k, other")
        page.get_by_role("button", name="Next").click()
        page.fill("dialog #field-k", "c4n4ry")
        page.fill("dialog #field-other", "x")
        page.locator("dialog summary").click()
        self.check("the value stays out of the command", "c4n4ry" not in page.locator("dialog m-command").inner_text())
        page.get_by_role("button", name="Store").click()
        page.wait_for_selector("td >> text=canary")
        self.check("a secret has several keys", self.server.last("/secrets/default/canary") == {"values": {"k": "c4n4ry", "other": "x"}})
        self.check("a secret's value is nowhere afterwards", "c4n4ry" not in page.evaluate("document.documentElement.outerHTML + JSON.stringify({...localStorage})"))
        page.goto(f"{self.url}/settings?part=audit")
        page.wait_for_selector("td")
        for count in (100, 130):
            page.get_by_role("button", name="Show older").click()
            until(page, "(n) => document.querySelectorAll('m-settings tbody tr').length === n", count)
        self.check("the audit list is paged to its end", page.get_by_role("button", name="Show older").count() == 0)
        self.quiet("settings")
        self.gone(page)

    def faults(self):
        self.server.tell("fail?path=/pipelines&count=2&status=503")
        page = self.page("/pipelines")
        page.wait_for_selector(".problem")
        self.check("a failure is told", "the database is busy" in page.locator(".problem").inner_text())
        page.wait_for_selector("a.item")
        self.check("and mended by itself", page.locator(".problem").count() == 0)
        self.server.tell("fail?path=/lint&count=1&status=500")
        page.goto(f"{self.url}/submit")
        page.wait_for_selector("text=The check failed")
        page.locator("m-editor textarea").focus()
        page.keyboard.type("# ")
        page.wait_for_selector("aside [role=status]:text-is('None.')")
        page.goto(f"{self.url}/compare?runs=uid-finetune-done,uid-nothing")
        page.wait_for_selector(".problem")
        self.check("a run that is not there is named", "uid-nothing" in page.locator(".problem").inner_text())
        self.quiet("faults")
        self.gone(page)

    def keys(self):
        page = self.page("/pipelines")
        page.wait_for_selector("a.item")
        page.keyboard.press("?")
        page.wait_for_selector("dialog.help[open]")
        words = page.locator("dialog.help").inner_text()
        self.check("all keys are listed", all(w in words for w in ("next row", "go to Schedules", "search")), words[:200])
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("s")
        page.wait_for_url("**/schedules")
        self.quiet("keys")
        self.gone(page)

    def access(self):
        """Names for screen readers, and no view that is wider than a phone."""
        page = self.page("/", viewport={"width": 360, "height": 740})
        for name, url in VIEWS.items():
            page.goto(self.url + url)
            page.wait_for_selector("main h1, main h2")
            page.wait_for_timeout(400)
            nameless = page.evaluate(NAMELESS)
            self.check(f"every control of {name} has a name", not nameless, str(nameless)[:300])
            wider = page.evaluate("(() => { const m = document.querySelector('main'); return m.scrollWidth - m.clientWidth; })()")
            self.check(f"{name} fits 360 pixels", wider <= 0, f"{wider} px too wide")
        self.quiet("narrow views")
        self.gone(page)

    def screenshots(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for look, options in {"light": {}, "dark": {"color_scheme": "dark"}, "narrow": {"viewport": {"width": 360, "height": 740}}}.items():
            page = self.page("/", **options)
            for name, url in VIEWS.items():
                page.goto(self.url + url)
                page.wait_for_selector("main h1, main h2")
                page.wait_for_timeout(700)
                page.screenshot(path=folder / f"{name}-{look}.png")
            self.gone(page)


def sign_in(checks, folder):
    server = Server("--auth")
    inner = Checks(checks.browser, server, server.url)
    try:
        page = inner.page("/settings")
        page.wait_for_selector("#token")
        if folder:
            page.screenshot(path=folder / "signin-light.png")
        page.fill("#token", "mrt_wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector(".problem")
        inner.check("a wrong token is told in words", "wrong, has expired, or was revoked" in page.locator(".problem").inner_text())
        page.fill("#token", "mrt_good")
        page.keyboard.press("Enter")
        page.wait_for_selector("m-settings td")
        inner.check("signing in shows what was asked for", page.url.endswith("/settings"))
        kept = page.evaluate("JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.documentElement.outerHTML + document.cookie")
        inner.check("the token is kept nowhere", "mrt_good" not in kept)
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("#token")
        inner.check("signing out shuts the page", page.locator("m-settings").count() == 0)
        inner.quiet("signing in")
        inner.gone(page)
    finally:
        server.stop()
    checks.failures += inner.failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("--only", help="a flow's name")
    arguments = parser.parse_args()
    server = Server()
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            checks = Checks(browser, server, server.url)
            flows = ["pipelines", "editor", "long_text", "keeping", "schedules", "charts", "overlay", "speed", "settings", "faults", "keys", "access"]
            for flow in [arguments.only] if arguments.only else flows:
                try:
                    getattr(checks, flow)()
                except Exception as error:  # One flow that breaks must not hide the rest.
                    checks.check(flow, False, str(error).split("Call log")[0][:400])
                    checks.quiet(flow)
            if arguments.screenshots:
                checks.screenshots(arguments.screenshots)
            if not arguments.only:
                sign_in(checks, arguments.screenshots)
            browser.close()
    finally:
        server.stop()
    print(f"{checks.failures} failures")
    sys.exit(1 if checks.failures else 0)


if __name__ == "__main__":
    main()
