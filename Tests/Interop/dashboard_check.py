#!/usr/bin/env python3
"""The Grafana dashboard: each query is PromQL that promtool takes, and asks for what a server has.

    dashboard_check.py [--martlet PATH]

Needs promtool (Debian's package prometheus). Grafana itself is not run.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

from server import Checks, Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOARD = ROOT / "deploy" / "monitoring" / "dashboard.json"
WORDS = {"sum", "by", "rate", "increase", "histogram_quantile", "topk", "max", "min", "le"}
# Grafana's own variables, as it would fill them in.
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}


def expressions(board):
    for panel in board["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            yield panel["title"], text, target["legendFormat"]


def labels_of(text):
    """Names of metrics, the labels that they are chosen by, and those that results are grouped by."""
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(",")}
    plain = re.sub(r"by \([^)]*\)", "", text)
    chosen = {}
    for name, inside in re.findall(r"([a-z_]+)\{([^}]*)\}", plain):
        chosen.setdefault(name, set()).update(re.findall(r"(\w+)\s*=", inside))
    bare = set(re.findall(r"[a-z_]{3,}", re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"', "", plain))) - WORDS
    return chosen, grouped, bare


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "debug" / "martlet"))
    options = parser.parse_args()
    checks = Checks()
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    panels = board["panels"]
    checks("panels have numbers and titles of their own", len({p["id"] for p in panels}) == len(panels) == len(
        {p["title"] for p in panels}))
    places = [p["gridPos"] for p in panels]
    overlaps = [(one, other) for i, one in enumerate(places) for other in places[i + 1:]
                if one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
                and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]]
    checks("no panel lies on another, and none beyond the edge", not overlaps and all(
        place["x"] + place["w"] <= 24 for place in places), str(overlaps[:2]))
    known = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(panels)))
    checks("variables that are used are there", used <= known, str(used - known))

    with Server(options.martlet) as server:
        text = urllib.request.urlopen(server.url + "/metrics", timeout=30).read().decode()
    # A histogram is known by its type; the rest of its names follow from it.
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", text, re.M))
    names = {"up"} | set(kinds)
    for name, kind in kinds.items():
        names |= {name + ending for ending in ("_bucket", "_sum", "_count")} if kind == "histogram" else set()
    documented = (ROOT / "deploy" / "monitoring" / "README.md").read_text(encoding="utf-8")
    labels = {"job", "instance", "le"} | set(re.findall(r"[{,](\w+)", documented))
    labels |= set(re.findall(r'[{,](\w+)="', text))
    rules = {"groups": [{"name": "dashboard", "rules": []}]}
    for title, expression, legend in expressions(board):
        chosen, grouped, bare = labels_of(expression)
        checks(f"{title}: metrics that a server has", set(chosen) <= names and bare <= set(chosen),
               f"{set(chosen) - names} {bare - set(chosen)}")
        counters = {name for name in re.findall(r"(?:rate|increase)\(([a-z_]+)", expression)}
        wrong = {name for name in counters if kinds.get(name) == "gauge"}
        checks(f"{title}: rates of counters only", not wrong, str(wrong))
        asked = set().union(*chosen.values()) | grouped
        checks(f"{title}: labels that metrics have", asked <= labels, str(asked - labels))
        shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
        checks(f"{title}: the legend names what is grouped by", shown <= grouped, str(shown - grouped))
        number = len(rules["groups"][0]["rules"])
        rules["groups"][0]["rules"].append({"record": f"dashboard:query{number}", "expr": expression})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rules, file)
        file.flush()
        done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, timeout=60)
        checks("promtool takes each query", done.returncode == 0, done.stdout + done.stderr)
    print(f"{checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
