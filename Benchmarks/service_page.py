"""The page in a browser against a real server: how soon it is there, a graph of 4,000 nodes, an editor of 5,000 lines."""

import os
import time

from measure import middle

LAYERS, WIDTH = 40, 100


def wide_graph():
    """A DAG of 40 layers of 100 tasks, each behind two of the layer before; with its root 4,001 nodes."""
    tasks = []
    for layer in range(LAYERS):
        for place in range(WIDTH):
            task = {"name": f"t{layer}-{place}", "template": "work"}
            if layer:
                task["depends"] = f"t{layer - 1}-{place} && t{layer - 1}-{(place + 1) % WIDTH}"
            tasks.append(task)
    return {"workflow": {"metadata": {"generateName": "wide-"}, "spec": {"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": tasks}},
        {"name": "work", "container": {"image": "any", "command": ["true"]}}]}}}


def measure_page(martlet, folder, verdicts, server_type, rounds=3):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("  page: playwright is not installed, so it was not measured; `make bench-service` installs it")
        return
    server = server_type(martlet, os.path.join(folder, "page"), "--executor", "noop")
    run = server.request("POST", "/api/v1/workflows/default", wide_graph())["metadata"]
    end = time.monotonic() + 120
    while server.request("GET", f"/api/martlet/v1/runs?uid={run['uid']}&limit=1")["items"][0]["phase"] != "Succeeded":
        if time.monotonic() > end:
            raise SystemExit("the run of 4,000 nodes has not ended within two minutes")
        time.sleep(0.2)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        paints, graphs, frames, letters = [], [], [], []
        for _ in range(rounds):
            tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            began = time.perf_counter()
            tab.goto(f"{server.url}/runs")
            tab.wait_for_selector("tbody tr")
            paints.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            tab.goto(f"{server.url}/runs/default/{run['name']}?tab=graph")
            tab.wait_for_selector("m-graph[data-drawn]")
            shown = int(tab.get_attribute("m-graph", "data-drawn"))
            graphs.append(time.perf_counter() - began)
            frames += moved(tab)
            tab.goto(f"{server.url}/submit")
            tab.wait_for_selector("m-editor textarea")
            letters += typed(tab)
            tab.context.close()
        browser.close()
    server.stop()
    print(f"  page: {shown} nodes in the graph; frames while it is moved: median {middle(frames):.0f} ms, "
          f"most {max(frames):.0f} ms")
    if shown < LAYERS * WIDTH:
        verdicts.short.append("the graph shows all nodes")
    verdicts.say("page, list there", middle(paints), "ms", 500, at_least=False, form="{:.0f}")
    verdicts.say("page, graph of 4,000 nodes there", middle(graphs), "s", 2, at_least=False)
    verdicts.say("page, a letter typed in 5,000 lines", middle(letters), "ms", 60, at_least=False, form="{:.0f}")


def moved(tab):
    """Milliseconds between frames while the graph is dragged."""
    box = tab.locator("m-graph").bounding_box()
    tab.evaluate("""() => { window.gaps = []; let last = performance.now();
        const tick = (now) => { window.gaps.push(now - last); last = now; window.ticking = requestAnimationFrame(tick); };
        requestAnimationFrame(tick); }""")
    tab.mouse.move(box["x"] + 200, box["y"] + 200)
    tab.mouse.down()
    for step in range(30):
        tab.mouse.move(box["x"] + 200 + 12 * step, box["y"] + 200 + 6 * step)
    tab.mouse.up()
    return tab.evaluate("cancelAnimationFrame(window.ticking) || window.gaps")[1:]


def typed(tab):
    """Milliseconds from a letter to the frame that shows it, in the middle of 5,000 lines, scrolled in between."""
    return tab.locator("m-editor textarea").evaluate("""async (area) => {
        area.value = Array.from({ length: 5000 }, (_, i) => i % 50
            ? `      key${i}: value ${i} {{inputs.parameters.x}} # note` : `  - source: |`).join("\\n");
        area.dispatchEvent(new Event("input"));
        area.focus();
        const times = [];
        for (let i = 0; i < 40; i++) {
            area.setSelectionRange(90_000, 90_000);
            const begun = performance.now();
            document.execCommand("insertText", false, "x");
            await new Promise((done) => requestAnimationFrame(() => {
                const shown = new MessageChannel();
                shown.port1.onmessage = done;
                shown.port2.postMessage(0);
            }));
            times.push(performance.now() - begun);
            area.scrollTop = i * 1200;
        }
        return times;
    }""")
