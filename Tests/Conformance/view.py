"""A workflow object as a test wants to look at it: nodes by name, outputs, logs, and a list of what is wrong."""

import datetime
import re

PHASES = {"Pending", "Running", "Succeeded", "Skipped", "Failed", "Error", "Omitted"}
FULFILLED = {"Succeeded", "Skipped", "Failed", "Error", "Omitted"}
TYPES = {
    "Pod", "Container", "Steps", "StepGroup", "DAG", "TaskGroup", "Retry", "Skipped", "Suspend", "HTTP", "Plugin"}


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def moment(text):
    """An RFC 3339 time as seconds; None when there is none."""
    if not text:
        return None
    return datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00")).timestamp()


def parameters(holder):
    return {p["name"]: p.get("value") for p in (holder or {}).get("parameters") or []}


class View:
    """Expectations about one workflow object. They note what is wrong and go on, so that all is shown at once."""

    def __init__(self, workflow, program=None, outcome=None):
        self.workflow, self.program, self.outcome = workflow, program, outcome
        self.problems = []
        self.name = workflow.get("metadata", {}).get("name", "")
        self.status = workflow.get("status") or {}
        self.nodes = list((self.status.get("nodes") or {}).values())
        self.by_id = {node.get("id"): node for node in self.nodes}
        self._log = None

    def expect(self, truth, text):
        if not truth:
            self.problems.append(text)
        return bool(truth)

    # Finding nodes

    def all(self, text):
        """Nodes with this display name; else those whose full name ends with it."""
        found = [n for n in self.nodes if n.get("displayName") == text]
        return found or [n for n in self.nodes if n.get("name", "").endswith("." + text)]

    def node(self, text):
        """The one node of that name, or an empty one with a note."""
        found = self.all(text)
        if self.expect(found, f"there is no node {text}; there are: {self.names()}"):
            return found[0]
        return {}

    def names(self):
        shown = sorted(str(n.get("displayName")) for n in self.nodes)
        return ", ".join(shown[:30]) + (" …" if len(shown) > 30 else "")

    @property
    def root(self):
        return self.by_id.get(self.name) or {}

    def like(self, pattern):
        """Nodes whose display name matches the whole pattern."""
        return [n for n in self.nodes if re.fullmatch(pattern, n.get("displayName", ""))]

    def ending(self, suffix):
        return [n for n in self.nodes if n.get("name", "").endswith(suffix)]

    def children(self, node):
        return [self.by_id[i] for i in node.get("children") or [] if i in self.by_id]

    def attempts_of(self, node):
        """Attempts of a Retry node, without the hooks that hang under it, too."""
        pattern = re.escape(node.get("name", "")) + r"\(\d+\)"
        return [n for n in self.children(node) if re.fullmatch(pattern, n.get("name", ""))]

    # Expectations

    def count(self, number):
        self.expect(len(self.nodes) == number, f"{len(self.nodes)} nodes instead of {number}: {self.names()}")

    def phase(self, phase, *texts):
        for text in texts:
            node = self.node(text)
            self.expect(
                not node or node.get("phase") == phase,
                f"node {text} is {node.get('phase')} instead of {phase} ({node.get('message', '')})")

    def absent(self, *texts):
        for text in texts:
            self.expect(not self.all(text), f"there is a node {text}")

    def type(self, text, kind):
        node = self.node(text)
        self.expect(not node or node.get("type") == kind, f"node {text} has type {node.get('type')}, not {kind}")

    def message(self, text, part):
        node = self.node(text)
        self.expect(
            not node or part in (node.get("message") or ""),
            f"message of node {text} is {node.get('message')!r}, without {part!r}")

    def any_message(self, part):
        said = [n.get("message") or "" for n in self.nodes] + [self.status.get("message") or ""]
        self.expect(any(part in text for text in said), f"no message has {part!r}: {[t for t in said if t][:8]}")

    def input(self, text, name, value):
        node = self.node(text)
        got = parameters(node.get("inputs")).get(name)
        self.expect(not node or got == value, f"input {name} of node {text} is {got!r} instead of {value!r}")

    def output(self, text, name, value):
        node = self.root if text == "" else self.node(text)
        got = parameters(node.get("outputs")).get(name)
        self.expect(got == value, f"output {name} of node {text or 'root'} is {got!r} instead of {value!r}")

    def artifact(self, text, name, present=True):
        node = self.root if text == "" else self.node(text)
        names = [a.get("name") for a in (node.get("outputs") or {}).get("artifacts") or []]
        self.expect((name in names) == present, f"node {text or 'root'} has the output artifacts {names}")

    def progress(self, value):
        self.expect(self.status.get("progress") == value, f"progress {self.status.get('progress')}, not {value}")

    def exactly_one_skipped(self, *texts):
        phases = sorted(self.node(t).get("phase", "") for t in texts)
        self.expect(phases == ["Skipped", "Succeeded"], f"{' and '.join(texts)} are {phases}")

    def attempts(self, text, number):
        node = self.root if text == "" else self.node(text)
        found = self.attempts_of(node)
        self.expect(
            not node or node.get("type") == "Retry" and len(found) == number,
            f"node {text or 'root'} ({node.get('type')}) has {len(found)} attempts, not {number}")

    # Times, which the status gives in whole seconds

    def seconds(self, node):
        began, ended = moment(node.get("startedAt")), moment(node.get("finishedAt"))
        return None if began is None or ended is None else ended - began

    def lasted(self, node, least, most):
        seconds = self.seconds(node)
        self.expect(
            seconds is not None and least <= seconds <= most,
            f"node {node.get('displayName')} took {seconds} s, not between {least} and {most}")

    def after(self, later, *earlier):
        begin = moment(self.node(later).get("startedAt"))
        for text in earlier:
            end = moment(self.node(text).get("finishedAt"))
            self.expect(
                begin is not None and end is not None and begin >= end,
                f"node {later} began at {begin}, before {text} ended at {end}")

    def overlap(self, nodes, most):
        """At most so many of the nodes at one time."""
        marks = []
        for node in nodes:
            began, ended = moment(node.get("startedAt")), moment(node.get("finishedAt"))
            if began is not None and ended is not None and ended > began:
                marks += [(began, 1), (ended, -1)]
        now = peak = 0
        for _, step in sorted(marks):
            now += step
            peak = max(peak, now)
        self.expect(peak <= most, f"{peak} of {[n.get('displayName') for n in nodes][:6]} ran at once, not {most}")

    # Logs

    def log_text(self, *more):
        if more or self._log is None:
            got = self.program.call("logs", self.name, *more, limit=60)
            text = got.out
            if got.status != 0:
                self.expect(False, f"logs ended with {got.status}: {got.tail(300)}")
            if more:
                return text
            self._log = text
        return self._log

    def log_lines(self):
        """Lines without the name of the node that `logs` puts before each."""
        return [re.sub(r"^[a-z0-9][-a-z0-9.]*: ", "", line) for line in self.log_text().splitlines()]

    def log(self, *parts):
        for part in parts:
            text = self.log_text()
            self.expect(part in text, f"the log has no {part!r}: {text[:300]!r}")

    def no_log(self, *parts):
        for part in parts:
            self.expect(part not in self.log_text(), f"the log has {part!r}")

    def log_count(self, line, number):
        found = sum(1 for each in self.log_lines() if each.strip() == line)
        self.expect(found == number, f"the log has {line!r} {found} times instead of {number}")

    # What holds for every run

    def laws(self):
        """Ids, links, phases and times that any status must have."""
        for node in self.nodes:
            name, identity = node.get("name", ""), node.get("id", "")
            wanted = self.name if name == self.name else f"{self.name}-{fnv1a(name)}"
            self.expect(identity == wanted, f"node {name} has the id {identity} instead of {wanted}")
            self.expect(node.get("phase") in PHASES, f"node {name} has the phase {node.get('phase')!r}")
            self.expect(node.get("type") in TYPES, f"node {name} has the type {node.get('type')!r}")
            self.expect(node.get("displayName"), f"node {name} has no display name")
            for field in ("children", "outboundNodes"):
                missing = [i for i in node.get(field) or [] if i not in self.by_id]
                self.expect(not missing, f"{field} of node {name} name nodes that do not exist: {missing[:3]}")
            boundary = node.get("boundaryID")
            self.expect(not boundary or boundary in self.by_id, f"boundaryID of {name} is unknown: {boundary}")
            if node.get("phase") in FULFILLED:
                seconds = self.seconds(node)
                self.expect(seconds is not None and seconds >= 0, f"node {name} ended, with times of {seconds} s")
        if self.status.get("phase") in ("Succeeded", "Failed", "Error"):
            open_nodes = [n.get("name") for n in self.nodes if n.get("phase") not in FULFILLED]
            self.expect(not open_nodes, f"the workflow has ended and these have not: {open_nodes[:5]}")
            self.expect(self.status.get("finishedAt"), "the workflow has ended without finishedAt")
        progress = self.status.get("progress")
        self.expect(not progress or re.fullmatch(r"\d+/\d+", progress), f"progress is {progress!r}")
