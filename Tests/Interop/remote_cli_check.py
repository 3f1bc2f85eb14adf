#!/usr/bin/env python3
"""The client verbs over `--server` and on a served data directory: the same words, files and answers everywhere.

    remote_cli_check.py [--martlet PATH] [--only PART]...

Three places get the same commands: a server that asks for tokens, reached by --server; one on loopback that asks for
none, reached by $MARTLET_SERVER; and the data directory of a server, without naming that. What they print and how they
end must not differ, but for uids, times and drawn names. Then what only a server can refuse: wrong tokens, a viewer's
writes, foreign namespaces, an address where nobody answers. Standard library only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from server import Checks, Server  # noqa: E402

# No command may take longer: what waits for ever is a failure of its own.
PATIENCE_SECONDS = 120

RUN = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: NAME, labels: {team: nlp}}
spec:
  entrypoint: main
  arguments: {parameters: [{name: word, value: hello}]}
  templates:
  - name: main
    steps: [[{name: one, template: say}], [{name: two, template: say}]]
  - name: say
    container: {image: busybox, command: [sh, -c], args: ["echo {{workflow.parameters.word}} {{pod.name}}"]}
"""

FAILING = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: failing}
spec:
  entrypoint: main
  arguments: {parameters: [{name: code, value: "1"}]}
  templates:
  - name: main
    steps: [[{name: good, template: good}], [{name: bad, template: bad}]]
  - name: good
    container: {image: busybox, command: ["true"]}
  - name: bad
    container: {image: busybox, command: [sh, -c], args: ["echo trying; exit {{workflow.parameters.code}}"]}
"""

WAITING = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: NAME}
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: approve, template: approve}], [{name: after, template: after, arguments: {parameters: [
      {name: said, value: "{{steps.approve.outputs.parameters.said}}"}]}}]]
  - name: approve
    suspend: {}
    outputs: {parameters: [{name: said, valueFrom: {supplied: {}, default: nothing}}]}
  - name: after
    inputs: {parameters: [{name: said}]}
    container: {image: busybox, command: [sh, -c], args: ["echo said {{inputs.parameters.said}}"]}
"""

SLOW = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: NAME}
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox, command: [sh, -c], args: ["echo begun; sleep 600"]}
"""

TEMPLATE = """apiVersion: argoproj.io/v1alpha1
kind: KIND
metadata: {name: greet}
spec:
  entrypoint: main
  arguments: {parameters: [{name: word, value: WORD}]}
  templates:
  - name: main
    container: {image: busybox, command: [echo, "{{workflow.parameters.word}}"]}
"""

CRON = """apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 3 1 1 *"]
  timezone: UTC
  workflowSpec: {workflowTemplateRef: {name: greet}}
"""

FILES = {
    "run.yaml": RUN.replace("NAME", "run"), "second.yaml": RUN.replace("NAME", "second"), "failing.yaml": FAILING,
    "waiting.yaml": WAITING.replace("NAME", "waiting"), "setting.yaml": WAITING.replace("NAME", "setting"),
    "slow.yaml": SLOW.replace("NAME", "slow"), "slower.yaml": SLOW.replace("NAME", "slower"),
    "drawn.yaml": RUN.replace("name: NAME", "generateName: drawn-"),
    "template.yaml": TEMPLATE.replace("KIND", "WorkflowTemplate").replace("WORD", "hello"),
    "changed.yaml": TEMPLATE.replace("KIND", "WorkflowTemplate").replace("WORD", "changed"),
    "cluster.yaml": TEMPLATE.replace("KIND", "ClusterWorkflowTemplate").replace("WORD", "hello"),
    "cron.yaml": CRON, "cron2.yaml": CRON.replace("0 3 1 1 *", "0 4 1 1 *"),
    "broken.yaml": RUN.replace("NAME", "broken").replace("template: say", "template: sy"),
}

# A node's change as `run` and its kin tell it while they wait.
PROGRESS = re.compile(r"[ǁ◷●✔✖○⚠] ?\S+ (Pending|Running|Succeeded|Skipped|Failed|Error)")

# What differs from one run to the next, in this order, and the word that stands for it.
DRAWN = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
    (r"\([^()]*\bago\)|\(now\)|\b(?:\d+ ?(?:ms|s|m|h|d|seconds?|minutes?|hours?)\b ?)+(?: ago)?", "SPAN "),
    (r"\b(drawn|run|failing|greet|nightly)-[a-z0-9]{5}\b", r"\1-DRAWN"), (r"-\d{6,10}\b", "-HASH"),
    (r"Status: +(Pending|Running)", "Status: GOING"), (r"(?m)^[●✔✖] .*\n?", ""),
]

# Refused everywhere, but by a check that comes first where it runs.
OTHER_WORDS = {"submit run.yaml --name In_valid"}

# A part is a name and commands in their order. `@uid NAME` stands for the uid of a run; `@suspended NAME` waits until the
# run waits for somebody, so that both places are asked about the same.
PARTS = {
    "submit": [
        "submit run.yaml --wait -o name", "submit second.yaml -o name", "wait second", "submit run.yaml",
        "submit second.yaml --name third -p word=bye -l a=b,c=d --wait -o name", "logs third",
        "submit drawn.yaml --dry-run -o name", "submit broken.yaml", "submit nothing.yaml",
        "submit second.yaml --name fourth --watch -o name", "submit second.yaml --name third",
        "submit run.yaml --name In_valid",
    ],
    "look": [
        "list -o name", "list", "list -o wide", "list --status Succeeded -o name", "list --status Failed -o name",
        "list -l a=b -o name", "list -l a!=b -o name", "list --prefix th -o name", "list --limit 1 -o name",
        "list --running -o name", "list --completed -o name", "list --since 1h -o name", "list --older 1h -o name",
        "list -n elsewhere", "list -A -o name", "list -l ((", "list -o json", "list -o yaml", "list --no-headers",
        "get run", "get run -o name", "get run -o short", "get run -o wide", "get run -o json", "get run -o yaml",
        "get run third", "get nobody", "get run --status Failed", "get run --node-field-selector displayName=one",
        "get @uid run -o name", "get -n elsewhere run", "get @latest -o name",
        "why one run", "why one run -o json", "why on run", "why one nobody", "why run",
    ],
    "logs": [
        "logs run", "logs run one", "logs run --grep hello", "logs run --grep nothing", "logs run --grep (",
        "logs run --tail 1", "logs run --since 1h", "logs run -f", "logs run two -f", "logs run nobody", "logs nobody",
        "logs run -c main", "logs run -c other", "logs run --since-time 2020-01-31T12:00:00Z", "logs run --since-time x",
        "logs run --timestamps",
    ],
    "retry": [
        "submit failing.yaml --wait -o name", "get failing", "retry failing -p code=0", "get failing -o short", "retry failing",
        "retry failing --restart-successful --node-field-selector displayName=good", "get failing -o short",
        "retry nobody", "resubmit failing -p code=1", "resubmit nobody", "resubmit run --priority 5",
        "resubmit run --memoized", "wait @latest", "watch run", "watch nobody", "wait nobody", "wait nobody run",
        "wait --ignore-not-found nobody",
    ],
    "control": [
        "submit waiting.yaml -o name", "@suspended waiting", "resume waiting --node-field-selector displayName=other", "suspend waiting",
        "resume waiting --node-field-selector displayName=approve", "resume waiting", "wait waiting", "logs waiting",
        "submit setting.yaml -o name", "@suspended setting",
        "node set setting --node-field-selector displayName=approve -p said=yes",
        "node set setting --node-field-selector displayName=nobody --message x",
        "resume setting", "wait setting", "logs setting",
        "node set setting --node-field-selector displayName=approve --message late",
        "submit slow.yaml -o name", "stop slow --message enough", "wait slow", "get slow -o short", "stop slow",
        "submit slower.yaml -o name", "terminate slower", "wait slower", "get slower -o short", "terminate slower",
        "suspend slower", "resume slower", "stop nobody", "terminate nobody", "suspend nobody", "resume nobody",
    ],
    "definitions": [
        "template create template.yaml", "template create template.yaml", "template list", "template get greet",
        "template get greet -o yaml", "template get greet -o json", "template get nobody", "template update changed.yaml",
        "submit --from workflowtemplate/greet --name from-template --wait -o name", "logs from-template",
        "submit --from workflowtemplate/nobody", "template lint template.yaml", "template update cron.yaml",
        "cluster-template create cluster.yaml", "cluster-template list", "cluster-template get greet",
        "submit --from clusterworkflowtemplate/greet --name from-cluster --wait -o name", "logs from-cluster",
        "cluster-template delete greet", "cluster-template delete greet",
        "cron create cron.yaml", "cron list", "cron get nightly", "cron get nightly -o json", "cron suspend nightly",
        "cron get nightly", "cron resume nightly", "cron update cron2.yaml", "cron get nightly", "cron next nightly",
        "cron next nobody", "cron next --schedule 0~3~*~*~*",
        "cron backfill nightly --start 2024-01-01T00:00:00Z --end 2025-06-01T00:00:00Z --preview",
        "cron backfill nightly --start 2024-01-01T00:00:00Z --end 2025-06-01T00:00:00Z --parallel 1",
        "cron backfill nightly --start 2024-01-01T00:00:00Z --end 2025-06-01T00:00:00Z --preview",
        "cron backfill nobody --start 2024-01-01T00:00:00Z", "cron backfill nightly --start x",
        "submit --from cronwf/nightly --name from-cron --wait -o name", "cron suspend nobody", "cron delete nightly",
        "cron delete nightly", "template delete greet", "template delete greet", "template list", "cron list",
    ],
    "archive": [
        "archive list", "archive list -l team=nlp", "archive list --limit 1", "archive get @uid run",
        "archive get @uid run -o json", "archive get nobody", "archive list-label-keys",
        "archive list-label-values -l team", "archive list-label-values -l nothing", "archive resubmit @uid run",
        "archive retry @uid run", "archive delete @uid second", "archive delete @uid second", "get second",
    ],
    "delete": [
        "submit slow.yaml --name held -o name", "delete held", "delete held --force --dry-run", "delete held --force",
        "get held", "delete run --dry-run", "delete run", "delete run", "delete nobody", "delete -l a=b --dry-run",
        "delete -l a=b", "delete --prefix fro --completed", "delete", "delete --all --dry-run", "delete --all --force",
        "list",
    ],
}


class Place:
    """Where the commands go, and what of their answers is only here."""

    def __init__(self, name, martlet, folder, words=(), environment=()):
        self.name, self.martlet, self.folder, self.words = name, martlet, folder, list(words)
        self.home = tempfile.mkdtemp(prefix="home-", dir=folder)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MARTLET_")}
        self.environment = clean | {"HOME": self.home, "XDG_CONFIG_HOME": self.home, "XDG_DATA_HOME": self.home,
                                    "NO_COLOR": "1"} | dict(environment)
        self.uids = {}

    def run(self, command, files, more=(), environment=()):
        if command.startswith("@suspended "):
            return self.suspended(command.split()[1], files)
        words = []
        parts = command.split()
        while parts:
            word = parts.pop(0)
            words.append(self.uid(parts.pop(0), files) if word == "@uid" else word.replace("~", " "))
        try:
            ended = subprocess.run(
                [self.martlet, *words, *self.words, *more], cwd=files, capture_output=True, text=True,
                env=self.environment | dict(environment), stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as expired:
            return "never", (expired.stdout or b"").decode(), (expired.stderr or b"").decode()
        return ended.returncode, ended.stdout, ended.stderr

    def suspended(self, name, files):
        """Returns once a suspend node of the run waits; `never` is no answer that another place could give."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            text = self.run(f"get {name} -o json", files)[1]
            nodes = json.loads(text).get("status", {}).get("nodes", {}).values() if text.startswith("{") else []
            if any(node["type"] == "Suspend" and node["phase"] == "Running" for node in nodes):
                return 0, "", ""
            time.sleep(0.1)
        return "never", "", ""

    def uid(self, name, files):
        """Remembered, so that a deleted run's can be asked for again."""
        if name not in self.uids:
            text = self.run(f"get {name} -o json", files)[1]
            self.uids[name] = (re.findall(r'"uid": "([^"]+)"', text) or ["no-uid"])[-1]
        return self.uids[name]


def plain(text):
    """Without what is drawn or measured, and without what only a server or only a directory writes down."""
    lines = [line for line in text.split("\n")
             if not re.search(r"workflows.argoproj.io/creator|\b\"?(uid|resourceVersion|cpu|memory|nanoseconds)\"?:", line)]
    text = "\n".join(line.rstrip(", ") for line in lines)
    for pattern, word in DRAWN:
        text = re.sub(pattern, word, text)
    return re.sub(r"[ \t]+", " ", text).strip()


def told(error):
    """Without the lines of nodes that change: which of them a caller sees depends on how often it looks."""
    return "\n".join(line for line in plain(error).split("\n") if not PROGRESS.match(line))


def difference(first, second):
    """The first line that differs."""
    for left, right in zip((first + "\n<end>").split("\n"), (second + "\n<end>").split("\n")):
        if left != right:
            return f"{left!r} / {right!r}"
    return ""


def compare(check, places, part, commands, files):
    for command in commands:
        answers = [place.run(command, files) for place in places]
        codes = [code for code, _, _ in answers]
        base = answers[-1]
        problem = ""
        if len(set(codes)) > 1:
            problem = f"ends with {codes}: " + " | ".join(error.strip()[:200] for _, _, error in answers)
        for place, (_, output, error) in zip(places, answers):
            if problem:
                break
            if plain(output) != plain(base[1]):
                problem = f"{place.name} prints something else: {difference(plain(output), plain(base[1]))}"
            elif base[0] != 0 and command not in OTHER_WORDS and told(error) != told(base[2]):
                problem = f"{place.name} fails with other words: {difference(told(error), told(base[2]))}"
        check(f"{part}: {command} -> {codes[0]}", not problem, problem)


def refusals(check, martlet, files, server, tokens, folder):
    """What a server refuses over --server, in words that say what to do."""
    def tried(name, command, code, words, more=(), token=None):
        place = Place("refused", martlet, folder, ["--server", server.url, *more],
                      {"MARTLET_TOKEN": token} if token else {})
        ended, output, error = place.run(command, files)
        check(name, ended == code and words in error, f"{ended}: {output}{error}")

    tried("an administrator submits", "submit run.yaml --name kept", 0, "", token=tokens["admin"])
    tried("an editor submits", "submit run.yaml --name own", 0, "", token=tokens["editor"])
    tried("no token", "list", 2, "needs a token")
    tried("wrong token", "list", 2, "not valid", token="mrt_" + "x" * 43)
    tried("a token as an option", "list -n elsewhere", 0, "", more=["--token", tokens["admin"]])
    tried("a viewer may look", "list", 0, "", token=tokens["viewer"])
    tried("a viewer may not submit", "submit run.yaml", 2, "role editor", token=tokens["viewer"])
    tried("a viewer may not delete", "delete --all --force", 2, "role editor", token=tokens["viewer"])
    tried("another namespace is not there", "list -n elsewhere", 1, "no namespace", token=tokens["viewer"])
    tried("nor does one submit to it", "submit run.yaml -n elsewhere", 1, "no namespace", token=tokens["editor"])
    place = Place("nobody", martlet, folder, ["--server", "http://127.0.0.1:9"])
    code, _, error = place.run("list", files)
    check("nobody answers", code == 2 and "cannot reach the server" in error, f"{code}: {error}")
    home = Place("file", martlet, folder, ["--server", server.url])
    os.makedirs(home.home + "/martlet")
    with open(home.home + "/martlet/token", "w") as file:
        file.write(tokens["viewer"] + "\n")
    code, _, error = home.run("list", files)
    check("the token of the user's file", code == 0, f"{code}: {error}")
    for address in ("ftp://x", "", "http://"):
        code, _, error = Place("odd", martlet, folder, ["--server", address or "/"]).run("list", files)
        check(f"address {address!r}", code == 64, f"{code}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--martlet", default=".build/debug/martlet")
    parser.add_argument("--only", action="append", choices=[*PARTS, "refusals"])
    options = parser.parse_args()
    martlet = os.path.abspath(options.martlet)
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="martlet-remote-") as folder:
        files = folder + "/files"
        os.mkdir(files)
        for name, text in FILES.items():
            with open(f"{files}/{name}", "w") as file:
                file.write(text)
        with Server(martlet, "--auth", "token") as closed, Server(martlet) as opened, Server(martlet) as served:
            tokens = {}
            for role in ("admin", "editor", "viewer"):
                words = [] if role == "admin" else ["--namespace", "default"]
                made = subprocess.run([martlet, "token", "create", role, "--role", role, *words, "--data-dir",
                                       closed.folder + "/data"], check=True, capture_output=True, text=True)
                tokens[role] = made.stdout.strip()
            places = [
                Place("with token", martlet, folder, ["--server", closed.url], {"MARTLET_TOKEN": tokens["admin"]}),
                Place("without token", martlet, folder, [], {"MARTLET_SERVER": opened.url}),
                Place("directory", martlet, folder, ["--data-dir", served.folder + "/data"]),
            ]
            for part, commands in PARTS.items():
                if not options.only or part in options.only:
                    compare(check, places, part, commands, files)
            if not options.only or "refusals" in options.only:
                refusals(check, martlet, files, closed, tokens, folder)
    print(f"{check.failures} differences" if check.failures else "the verbs are the same everywhere")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
