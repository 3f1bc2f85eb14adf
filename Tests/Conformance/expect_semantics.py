"""What the notes of the semantics cases promise beyond the phase, file by file."""

import json
import re

from view import moment


def group_is_absent(v):
    groups = [n for n in v.nodes if n.get("type") == "StepGroup" and n.get("phase") == "Error"]
    v.expect(groups, "no step group is Error")
    v.expect(
        any("absent optional" in (n.get("message") or "") for n in groups),
        f"the step group says {[n.get('message') for n in groups]}")
    v.expect(v.root.get("phase") == "Failed", f"the steps template is {v.root.get('phase')}")


def containers_in_order(v):
    v.count(4)
    for name in "abc":
        v.phase("Succeeded", name)
        v.type(name, "Container")
    v.after("b", "a")
    v.after("c", "b")


def container_retry(v):
    v.phase("Succeeded", "a")
    v.type(v.root.get("displayName") or v.name, "Pod")


def continued(v):
    v.count(7)
    v.phase("Failed", "B")
    v.expect(len(v.children(v.node("B"))) >= 1, "B has no child")
    below = [n for n in v.nodes if n.get("boundaryID") == v.node("B").get("id")]
    v.expect(len(below) == 1, f"B has {len(below)} nodes below it")
    v.phase("Succeeded", "C")


def exhausted(v):
    v.attempts("fail", 2)
    v.phase("Omitted", "success2")


def handler_failed(v):
    v.expect(v.root.get("phase") == "Succeeded", f"the main node is {v.root.get('phase')}")
    handlers = v.ending(".onExit")
    v.expect(handlers and handlers[0].get("phase") == "Failed", "the exit handler is not Failed")


def hooks(*names):
    def check(v):
        for name in names:
            found = v.ending("." + name)
            if v.expect(found, f"no node ends in .{name}: {v.names()}"):
                v.expect(
                    all(n.get("phase") == "Succeeded" for n in found),
                    f"{name} is {found[0].get('phase')}: {found[0].get('message')}")
                v.expect(
                    all((n.get("nodeFlag") or {}).get("hooked") for n in found), f"{name} has no nodeFlag.hooked")
    return check


def hook_awaited(v):
    hooks("hooks.running")(v)
    v.expect(not v.ending(".hooks.failed"), "the failed hook has run")
    v.progress("2/2")


def hooks_share_lock(v):
    hooks("job.hooks.running", "job.hooks.succeed")(v)
    v.progress("3/3")
    ends = sorted(moment(n.get("finishedAt")) or 0 for n in v.ending(".hooks.running") + v.ending(".hooks.succeed"))
    v.expect(len(ends) == 2 and ends[1] - ends[0] >= 3, f"the hooks ended at {ends}, not 4 s apart")


def hooks_with_retry(v):
    name = "test-workflow-level-hooks-with-retry"
    v.progress("2/4")
    for hook in ("hooks.running", "hooks.failed"):
        found = [n for n in v.nodes if n.get("name") == f"{name}.{hook}"]
        if v.expect(found, f"there is no node {name}.{hook}"):
            v.expect(found[0].get("phase") == "Succeeded", f"{hook} is {found[0].get('phase')}")
            v.expect((found[0].get("nodeFlag") or {}).get("hooked"), f"{hook} has no nodeFlag.hooked")
    v.expect(v.root.get("type") == "Retry", f"the root has type {v.root.get('type')}")
    v.expect(not v.root.get("nodeFlag"), f"the root has nodeFlag {v.root.get('nodeFlag')}")
    v.attempts("", 2)


def items_with_hooks(v):
    v.expect(len(v.like(r"run-sim\(\d:\d\)")) == 3, f"not 3 items: {v.names()}")
    found = [n for n in v.ending(".onExit") if n.get("phase") == "Succeeded"]
    v.expect(len(found) == 3, f"{len(found)} exit hooks Succeeded instead of 3")


def failures_told(v):
    text = v.log_text()
    v.log("send e-mail: exit-handlers Failed ")
    found = re.search(r"Failed steps (\[.*\])", text)
    if v.expect(found, f"no JSON list in the log: {text[:300]!r}"):
        try:
            listed = json.loads(found.group(1))
        except ValueError:
            v.expect(False, f"this is no JSON: {found.group(1)[:200]}")
            return
        v.expect(
            any(f.get("phase") == "Failed" and f.get("templateName") == "intentional-fail" for f in listed),
            f"the failed node is not in {listed}")


def no_items(v):
    v.count(3)
    v.phase("Skipped", "sleep")
    v.message("sleep", "Skipped, empty params")


def maps(v):
    items = v.like(r"whalesay\(.*\)")
    v.expect(len(items) == 3, f"{len(items)} children")
    v.input("whalesay(0:os:debian,version:9.1)", "message", 'debian 9.1 JSON({"os":"debian","version":9.1})')


def aggregation(v):
    v.phase("Succeeded", "print(0:res:1)")
    v.phase("Skipped", "divide-by-2(0:evenness:odd,num:1)")


NESTED_ITEMS = (
    "task3(0:key1:value1)", "task3(1:key2:value2)", "task3(2:key3:value3)", "task3(0:key4:value4)",
    "task3(1:key5:value5)")
FILTERED = ("fst(0:name:first,type:)", "fst(1:name:second,type:always)", "fst(2:name:third,type:test)",
            "fst(3:name:fourth)")


def inputs_of(pattern, name, values):
    def check(v):
        found = sorted(
            next((p.get("value") for p in (n.get("inputs") or {}).get("parameters") or [] if p["name"] == name), None)
            or "" for n in v.like(pattern))
        v.expect(found == sorted(values), f"inputs {name} are {found} instead of {values}")
    return check


def list_of_lists(v):
    inputs_of(r"whalesay\(.*\)", "message", ["[1,2]", "[3,4]", "[4,5]", "[106,7]"])(v)


def shut_down(v):
    v.any_message("workflow shutdown with strategy: Stop")
    v.no_log("hello world")


def memoized(v):
    hits = sorted(bool((v.node(n).get("memoizationStatus") or {}).get("hit")) for n in ("job-1", "job-2"))
    v.expect(hits == [False, True], f"cache hits are {hits}")


def two_mutexes(v):
    v.count(3)
    v.phase("Succeeded", "A", "B")
    v.after("B", "A")


def global_parameters(v):
    v.log(
        "Global 1: hello world Input 1: world hello Input 2/Steps Input 1/Global 1: hello world "
        "Input 3/Global 2: foo bar Input4/Steps Input 2 internal/Global 1: hello world")


def label(v):
    labels = v.workflow.get("metadata", {}).get("labels") or {}
    v.expect(labels.get("foo") == "bar", f"the labels are {labels}")


def suspend_defaults(v):
    v.output("wait", "input", "Hello World")
    v.output("wait", "select", "default")
    v.log("Hello World - default")


def suspend_timeout(v):
    found = [n for n in v.nodes if n.get("name") == f"{v.name}[0].approve"]
    v.expect(found, f"there is no node {v.name}[0].approve")
    v.output("approve", "message", "default message")
    v.input("release", "message", "default message")
    v.progress("2/2")


def handler_after_deadline(v):
    handlers = [n for n in v.nodes if n.get("name") == f"{v.name}.onExit"]
    v.expect(
        handlers and handlers[0].get("phase") == "Succeeded",
        f"the exit handler is {handlers and handlers[0].get('phase')}")


def nothing_ran(v):
    skipped = [n for n in v.nodes if n.get("name") != v.name]
    v.expect(len(skipped) >= 3, f"only {len(skipped)} tasks: {v.names()}")
    v.expect(
        all(n.get("phase") == "Skipped" for n in skipped), f"not all are Skipped: {[n.get('phase') for n in skipped]}")


JSON_PARAMETERS = (
    'Workflow: [{"name":"parameter1","value":"value1"}]. '
    'Template: [{"name":"parameter1","value":"value1"},{"name":"parameter2","value":"template2"}]')

CHECKS = {
    "argument-overrides-input-value.yaml": lambda v: (
        v.input(v.name, "message", "arg-value"), v.log_count("arg-value", 1)),
    "artifact-from-skipped-task.yaml": nothing_ran,
    "containerset-retry.yaml": container_retry,
    "containerset-sequence.yaml": containers_in_order,
    "continueon-steps-nested-dag.yaml": continued,
    "dag-empty-param.yaml": no_items,
    "dag-exhausted-retries.yaml": exhausted,
    "dag-skipped-producer-default.yaml": lambda v: (
        v.phase("Skipped", "producer"), v.input("consumer", "in", "hello-from-producer")),
    "dag-target-from-input.yaml": lambda v: (v.phase("Succeeded", "A", "C", "E"), v.absent("B", "D")),
    "dag-when-expr-skip.yaml": lambda v: (v.phase("Succeeded", "A"), v.phase("Skipped", "B")),
    "deadline-parameter.yaml": lambda v: v.lasted(v.root, 4, 9),
    "exit-handler-after-deadline.yaml": handler_after_deadline,
    "exit-handler-failed.yaml": handler_failed,
    "exit-hook-skipped-output.yaml": lambda v: (
        v.input("work.onExit", "in", "FALLBACK"), v.input("work.onExit", "in2", "hook-fallback")),
    "expression-fallback.yaml": lambda v: v.output("", "result", "expr-fallback"),
    "failed-item.yaml": lambda v: (v.phase("Succeeded", "exit(0:0)"), v.phase("Failed", "exit(1:1)")),
    "global-parameters-complex.yaml": global_parameters,
    "hooks-dag-failed.yaml": hooks("step-1.hooks.failed", "step-1.hooks.running"),
    "hooks-dag-success.yaml": hooks(
        "step-1.hooks.running", "step-1.hooks.succeed", "step-2.hooks.succeed"),
    "hooks-step-failed.yaml": hooks("step-1.hooks.failed", "step-1.hooks.running"),
    "hooks-wait-workflow.yaml": hook_awaited,
    "hooks-with-mutex.yaml": hooks_share_lock,
    "hooks-with-retry.yaml": hooks_with_retry,
    "hooks-workflow-failed.yaml": hooks("hooks.running", "hooks.failed"),
    "inline-dag.yaml": lambda v: v.count(2),
    "inline-steps-use-outer-template.yaml": lambda v: v.phase("Failed", "step1", "fail"),
    "items-of-maps.yaml": maps,
    "items-with-hooks.yaml": items_with_hooks,
    "label-from-expression.yaml": label,
    "memoize-with-mutex.yaml": memoized,
    "mutex-in-dag.yaml": two_mutexes,
    "mutex-name-expression.yaml": lambda v: (two_mutexes(v), v.log_count("foo/bar", 2)),
    "nested-optional-output-artifact.yaml": lambda v: (
        v.phase("Skipped", "whalesay"), v.artifact("skip-artifact-generation", "hello-art", present=False)),
    "node-name-variable.yaml": lambda v: v.input("this-is-part-2", "message", "hello-world.this-is-part-1"),
    "node-suspend.yaml": lambda v: (v.phase("Running", "suspend1"), v.absent("suspend2")),
    "onexit-failures.yaml": failures_told,
    "optional-artifact-in-loop-dag.yaml": lambda v: v.log_count("0", 1),
    "parallelism-dag-fail-fast.yaml": lambda v: (
        v.any_message("template has failed or errored children and failFast enabled"),
        v.phase("Failed", "task1"), v.phase("Succeeded", "task2")),
    "param-aggregation-fromoutputs.yaml": lambda v: v.phase("Succeeded", *NESTED_ITEMS),
    "param-aggregation.yaml": aggregation,
    "parameters-as-json.yaml": lambda v: v.input("step1", "json", JSON_PARAMETERS),
    "resubmit-memoized.yaml": lambda v: (v.phase("Succeeded", "A"), v.phase("Failed", "B")),
    "retries-in-steps.yaml": lambda v: (v.attempts("fail", 2), v.attempts("delayed-fail", 2)),
    "retry-failed-exit-handler.yaml": lambda v: (v.count(2), handler_failed(v)),
    "retry-limit-parameter.yaml": lambda v: (
        v.count(3), v.expect("No more retries left" in (v.root.get("message") or ""), "root: " + str(v.root))),
    "retry-omitted.yaml": lambda v: (v.phase("Failed", "F"), v.phase("Omitted", "O")),
    "sequence-item-in-expression.yaml": inputs_of(r"create-sequence\(.*", "arg", ["12", "13"]),
    "sequence-start-end.yaml": inputs_of(r"step1\(.*", "msg", ["100", "101"]),
    "skipped-output-aggregate-default.yaml": lambda v: v.output("", "result", "default-from-producer"),
    "steps-skipped-consumer-default.yaml": lambda v: v.input("consumer", "in", "fallback-from-input"),
    "steps-skipped-output-ref.yaml": lambda v: (
        v.phase("Succeeded", "job1"), v.phase("Skipped", "job2"), group_is_absent(v)),
    "steps-skipped-producer-default.yaml": lambda v: v.input("consumer", "in", "hello-from-producer"),
    "steps-skipped-withparam-ref.yaml": lambda v: (
        v.phase("Skipped", "producer"), group_is_absent(v), v.absent("consumer"),
        v.expect(not v.like(r"consumer\(.*"), "there is a consumer")),
    "submitted-with-shutdown.yaml": shut_down,
    "suspend-input-defaults.yaml": suspend_defaults,
    "suspend-timeout-default.yaml": suspend_timeout,
    "task-named-like-function.yaml": lambda v: v.phase("Succeeded", "split", "map"),
    "when-expr-filter.yaml": lambda v: v.phase("Succeeded", *FILTERED),
    "withparam-list-of-lists.yaml": list_of_lists,
}
