"""What happens to a run after its first end: the `action` column, and the verbs that some notes speak of."""

import re
import shlex
import threading
import time

import expect_examples
from program import parse
from view import View, moment


def apply(row, view):
    """Carries out the row's action and checks what the note says of it."""
    if row.get("action"):
        words = shlex.split(row["action"])
        outcome = act(view, *words)
        if outcome is None:
            return
        after = View(view.program.object(), view.program, outcome)
        after.laws()
        AFTER.get(row["file"], any_phase)(view, after)
        view.problems += [f"after `{row['action']}`: {p}" for p in after.problems]
    more = MORE.get(row["file"])
    if more:
        more(view, row)


def act(view, *words):
    """A verb that may drive the run in the foreground, and must not wait there for a person."""
    drives = words[0] in ("resume", "retry", "resubmit")
    outcome = view.program.call(*words, *(["--no-wait"] if drives else []))
    good = view.expect(
        outcome.status in ((0, 1, 2, 3) if drives else (0,)),
        f"`{' '.join(words)}` ended with {outcome.status}: {outcome.tail(300)}")
    return outcome if good else None


def any_phase(before, after):
    after.expect(after.status.get("phase") in ("Running", "Succeeded", "Failed", "Error"), "no phase")


# For the action column: the run before, and the newest run after it.

def resumed_by_selector(before, after):
    after.expect(after.status.get("phase") == "Running", f"the phase is {after.status.get('phase')}")
    after.phase("Succeeded", "suspend1")
    after.phase("Running", "suspend2")
    if act(after, "resume", "@latest") is not None:
        last = View(after.program.object(), after.program)
        after.expect(last.status.get("phase") == "Succeeded", f"resumed again it is {last.status.get('phase')}")


def resubmitted(before, after):
    after.expect(after.name != before.name, "resubmit made no new workflow")
    after.expect(after.status.get("phase") == "Failed", f"the phase is {after.status.get('phase')}")
    after.count(5)
    after.phase("Skipped", "A")
    after.type("A", "Skipped")
    after.message("A", "original pod: ")
    after.phase("Failed", "B")
    after.phase("Omitted", "C", "D")
    after.message("C", "omitted: depends condition not met")


def handler_again(before, after):
    after.expect(after.name == before.name, "retry made another workflow")
    after.count(2)
    after.expect(after.status.get("phase") == "Failed", f"the phase is {after.status.get('phase')}")
    after.expect(after.root.get("phase") == "Succeeded", f"hello is {after.root.get('phase')}")
    after.expect(
        after.root.get("finishedAt") == before.root.get("finishedAt"), "hello has run again: it ended later")
    after.log_count("hello", 1)


def omitted_again(before, after):
    after.phase("Failed", "F")
    after.phase("Omitted", "O")


AFTER = {
    "node-suspend.yaml": resumed_by_selector,
    "resubmit-memoized.yaml": resubmitted,
    "retry-failed-exit-handler.yaml": handler_again,
    "retry-omitted.yaml": omitted_again,
}


# For notes of the examples.

def release(view, row):
    began = time.monotonic()
    if act(view, "resume", view.name) is None:
        return
    after = View(view.program.object(view.name), view.program)
    view.expect(after.status.get("phase") == "Succeeded", f"after resume it is {after.status.get('phase')}")
    view.expect(time.monotonic() - began >= 19, "the delay of 20 s was not kept")
    view.problems += after.problems


def set_output(view, row):
    """Once with nobody driving the run, once with a driver that waits in another process."""
    if act(view, "node", "set", view.name, "--output-parameter", "message=released",
           "--node-field-selector", "displayName=approve") is None:
        return
    if act(view, "resume", view.name) is None:
        return
    after = View(view.program.object(view.name), view.program)
    after.expect(after.status.get("phase") == "Succeeded", f"after resume it is {after.status.get('phase')}")
    after.log_count("released", 1)
    view.problems += after.problems
    driven_elsewhere(view, row)


def driven_elsewhere(view, row):
    driver = view.program.start("run", row["path"], "-o", "json", "--name", "driven-elsewhere")
    try:
        if not wait_for(view, "driven-elsewhere"):
            view.expect(False, "a second run does not come to its suspend node within 30 s")
            return
        for words in (("node", "set", "driven-elsewhere", "--output-parameter", "message=from afar",
                       "--node-field-selector", "displayName=approve"), ("resume", "driven-elsewhere")):
            outcome = view.program.call(*words, limit=60)
            view.expect(outcome.status == 0, f"`{' '.join(words)}` ended with {outcome.status}: {outcome.tail(300)}")
        outcome = driver.wait(30)
        view.expect(outcome.status == 0, f"the driver ended with {outcome.status}: {outcome.tail(300)}")
        if outcome.status == 0:
            View(parse(outcome), view.program).log("from afar")
    finally:
        driver.end()


def wait_for(view, name):
    for _ in range(60):
        got = view.program.call("get", name, "-o", "json", limit=60)
        if got.status == 0:
            nodes = (parse(got).get("status") or {}).get("nodes") or {}
            if any(n.get("type") == "Suspend" and n.get("phase") == "Running" for n in nodes.values()):
                return True
        time.sleep(0.5)
    return False


def other_target(view, row):
    outcome = view.program.call("run", row["path"], "-p", "target=B", "-o", "json")
    other = View(parse(outcome), view.program, outcome)
    other.expect(outcome.status == 0, f"with -p target=B it ended with {outcome.status}")
    expect_examples.dag_targets_again(other)
    view.problems += [f"with -p target=B: {p}" for p in other.problems]


def two_copies(view, row):
    """The manifest sleeps three seconds instead of greeting, so that two copies would overlap if they could."""
    text = open(row["path"], encoding="utf-8").read()
    slow = re.sub(r"command: \[echo\]", "command: [sleep]", text)
    slow = re.sub(r'args: \["hello world"\]', 'args: ["3"]', slow)
    path = view.program.data + "/copy.yaml"
    open(path, "w", encoding="utf-8").write(slow)
    results = []

    def run():
        results.append(view.program.call("run", path, "-o", "json"))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pods = []
    for outcome in results:
        view.expect(outcome.status == 0, f"one of two copies ended with {outcome.status}: {outcome.tail(300)}")
        if outcome.status == 0:
            pods += [n for n in View(parse(outcome)).nodes if n.get("type") == "Pod"]
    ends = sorted(moment(n.get("finishedAt")) or 0 for n in pods)
    view.expect(len(ends) == 2 and ends[1] - ends[0] >= 2, f"two copies ended at {ends}: not one after the other")


MORE = {
    "suspend-template.yaml": release,
    "suspend-template-outputs.yaml": set_output,
    "dag-targets.yaml": other_target,
    "synchronization-mutex-wf-level.yaml": two_copies,
}
