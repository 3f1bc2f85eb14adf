"""What the notes of the Argo examples promise beyond the phase, file by file."""

import json
import os
import re

from view import moment, parameters


def hello(v):
    v.count(1)
    v.log("hello world")


def archived_log(v):
    hello(v)
    v.artifact("", "main-logs")


def artifact_garbage(v):
    """One artifact goes with the end of the run, the other with the run itself."""
    kept = {name: stored_key(v, name + ".txt") for name in ("on-completion", "on-deletion")}
    deleted = [a["name"] for a in (v.root.get("outputs") or {}).get("artifacts") or [] if a.get("deleted")]
    v.expect("on-deletion" not in deleted, "on-deletion is marked deleted although the run is still there")
    v.expect(
        "on-completion" in deleted or not kept["on-completion"],
        "on-completion is neither marked deleted nor gone from the store")
    gone = v.program.call("delete", v.name, limit=60)
    v.expect(gone.status == 0, f"delete ended with {gone.status}: {gone.tail(300)}")
    if kept["on-deletion"]:
        v.expect(not stored_key(v, "on-deletion.txt"), "on-deletion is still stored after the run was deleted")


def stored_key(v, name):
    """Whether the local store still has a key that ends in this name."""
    for directory, folders, files in os.walk(os.path.join(v.program.data, "artifacts")):
        if any(name in each for each in files + folders):
            return True
    return False


def placeholders(v):
    v.output("", "actual-lines-count", "3")
    v.artifact("", "text")
    v.expect(stored(v.program.data, lambda text: text == "1\n2\n3\n"), "no stored file holds the lines 1, 2, 3")


def mixed_templates(v):
    v.count(11)
    v.phase("Succeeded", "hello1", "hello2a", "hello2b", "inner-hello1", "inner-hello2a", "inner-hello2b")
    v.log("inner-hello1", "inner-hello2a", "inner-hello2b", "hello2b")


def coinflip(v):
    v.count(6)
    v.exactly_one_skipped("heads", "tails")
    v.log("it was heads" if v.node("heads").get("phase") == "Succeeded" else "it was tails")


def complex_conditions(v):
    v.count(12)
    v.exactly_one_skipped("heads", "tails")
    v.exactly_one_skipped("heads-regex", "tails-regex")
    same = v.node("complex-condition").get("phase"), v.node("tails-regex").get("phase")
    v.expect(same[0] == same[1], f"complex-condition and tails-regex are {same}")


def custom_metrics(v):
    value = parameters(v.node("random-int").get("outputs")).get("rand-int-value")
    v.expect((value or "").isdigit() and 1 <= int(value) <= 10, f"rand-int-value is {value!r}")
    exported = parameters(v.status.get("outputs")).get("rand-int-value")
    v.expect(exported == value, f"the global output rand-int-value is {exported!r}, not {value!r}")


def conditional_artifacts(v):
    v.count(4)
    v.exactly_one_skipped("heads", "tails")
    v.artifact("", "result")


def conditional_parameters(v):
    coin = (v.node("flip-coin").get("outputs") or {}).get("result")
    v.expect(coin in ("heads", "tails"), f"the coin is {coin!r}")
    v.output("", "stepresult", coin)
    v.exactly_one_skipped("heads", "tails")


def diamond_of_steps(v):
    v.count(21)
    for name in (letter + str(n) for letter in "ABCD" for n in (1, 2, 3)):
        v.log_count(name, 1)


def diamond(v):
    v.count(5)
    for letter in "ABCD":
        v.log_count(letter, 1)
    v.after("D", "B", "C")
    v.after("B", "A")


def no_fail_fast(v):
    v.count(11)
    v.phase("Succeeded", "A", "B", "D", "E")
    v.phase("Failed", "C")
    v.attempts("C", 4)
    v.attempts("B", 1)


def dag_targets(v):
    v.count(4)
    v.phase("Succeeded", "A", "C", "E")
    v.absent("B", "D")


def dag_targets_again(v):
    v.count(3)
    v.phase("Succeeded", "A", "B")
    v.absent("C", "D", "E")


def exit_code(v):
    v.count(5)
    v.log_count("Exit code was: 123", 1)


def exit_of_tasks(v):
    v.count(9)
    v.expect(len(v.ending(".onExit")) == 4, f"{len(v.ending('.onExit'))} nodes end in .onExit instead of 4")
    v.log_count("task cleanup", 4)


def exit_of_steps(v):
    v.count(9)
    v.log_count("step cleanup", 3)
    hooks = [n for n in v.ending(".hello1.onExit")]
    if v.expect(len(hooks) == 1, "hello1 has no node hello1.onExit"):
        begin, end = moment(v.node("hello2a").get("startedAt")), moment(hooks[0].get("finishedAt"))
        v.expect(begin is not None and end is not None and begin >= end, "hello2a began before hello1's exit hook ended")


def fibonacci(v):
    v.input("printresult", "result", "5")
    v.expect("5" in v.log_text(v.node("printresult").get("id", "")).split(), "printresult does not log 5")
    hits = [n for n in v.nodes if (n.get("memoizationStatus") or {}).get("hit")]
    v.expect(hits, "no node was a cache hit")


def init_container(v):
    v.log("bye")
    if "hello" not in v.log_text():
        v.expect("hello" in v.log_text("-c", "hello"), "the init container's hello is in no log")


def raw_artifact(v):
    v.count(1)
    v.log("this is", "the raw file", "contents")


def sequential_loop(v):
    v.phase("Succeeded", *(f"unit-step({n}:exit_code:0,message:succeeds {n + 1})" for n in range(3)))
    v.phase("Failed", "unit-step(3:exit_code:1,message:will fail and stop here)")
    v.no_log("will not run")
    ran = [n for n in v.like(r"unit-step\([45]:.*") if n.get("phase") == "Succeeded"]
    v.expect(not ran, "items 4 and 5 have run")


def loop_in_dag(v):
    v.count(7)
    v.type("B", "TaskGroup")
    v.phase("Succeeded", "A", "B", "B(0:foo)", "B(1:bar)", "B(2:baz)", "C")


SYSTEMS = [("debian", "9.1"), ("debian", "8.9"), ("alpine", "3.6"), ("ubuntu", "17.10")]


def loop_of_maps(v):
    v.count(6)
    v.phase("Succeeded", *(f"test-linux({i}:image:{n},tag:{t})" for i, (n, t) in enumerate(SYSTEMS)))


def display_names(v):
    v.count(6)
    v.phase("Succeeded", *(f"os-{name}-{tag}" for name, tag in SYSTEMS))


def loop(v):
    v.count(4)
    v.phase("Succeeded", "print-message-loop(0:hello world)", "print-message-loop(1:goodbye world)")
    v.log("hello world", "goodbye world")


def map_reduce(v):
    v.count(8)
    v.expect(len(v.like(r"map\(\d:\d\)")) == 4, f"not 4 maps: {v.names()}")
    v.expect(stored(v.program.data, is_total), 'no file below the data directory holds {"total": 20}')


def is_total(text):
    try:
        return json.loads(text) == {"total": 20}
    except ValueError:
        return False


def stored(folder, holds):
    """Whether some small file of the data directory has such a text."""
    for directory, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(directory, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 200 and holds(open(path).read()):
                    return True
            except (OSError, ValueError):
                continue
    return False


def nested(v):
    v.count(10)
    v.log_count("input parameter value: my-output-parameter", 2)
    v.log_count("hello world", 4)


def subdags_in_pairs(v):
    v.count(21)
    v.overlap([v.node(f"b{n}") for n in range(1, 6)], 2)


def one_subworkflow_at_a_time(v):
    v.count(18)
    v.overlap(v.like(r"seq-step\(.*"), 1)


def sequential_workers(v):
    v.count(26)
    for worker in v.like(r"parallel-worker\(.*"):
        jobs = [n for n in v.like(r"seq-step\(.*") if n.get("boundaryID") == worker.get("id")]
        v.expect(len(jobs) == 4, f"worker {worker.get('displayName')} has {len(jobs)} jobs")
        v.overlap(jobs, 1)


def aggregated_script(v):
    v.count(11)
    v.phase("Skipped", "divide-by-2(0:evenness:odd,num:1)", "divide-by-2(2:evenness:odd,num:3)")
    v.phase("Succeeded", "divide-by-2(1:evenness:even,num:2)", "divide-by-2(3:evenness:even,num:4)")
    v.log_count("1", 1)
    v.log_count("2", 1)


def sidecar(v):
    v.log("small step", "large step")
    v.lasted(v.node("large"), 4, 9)


def recursive_loop(v):
    counters = v.like("iterate-counter")
    results = sorted(int((n.get("outputs") or {}).get("result") or -1) for n in counters)
    v.expect(results == list(range(1, 11)), f"the iterations gave {results}")
    skipped = [n for n in v.like("continue") if n.get("phase") == "Skipped"]
    v.expect(len(skipped) == 1, f"{len(skipped)} of the steps named continue are Skipped")


def memoized_resubmit(v):
    if v.status.get("phase") != "Failed":
        return
    again = v.program.call("resubmit", "--memoized", v.name, "--no-wait", "-o", "json")
    v.expect(again.status in (0, 1), f"resubmit --memoized ended with {again.status}: {again.tail(300)}")


def retried(v):
    v.expect(v.root.get("type") == "Retry", f"the root has type {v.root.get('type')}")
    attempts = v.attempts_of(v.root)
    v.expect(1 <= len(attempts) <= 11, f"{len(attempts)} attempts")
    last = [n for n in attempts if n.get("phase") == "Succeeded"]
    v.expect(
        len(last) == (1 if v.root.get("phase") == "Succeeded" else 0), f"{len(last)} attempts Succeeded")
    numbered = {f"{v.name}({i})" for i in range(len(attempts))}
    v.expect({n.get("name") for n in attempts} == numbered, f"the attempts are {[n.get('name') for n in attempts]}")


def retried_with_backoff(v):
    retried(v)
    attempts = sorted(v.attempts_of(v.root), key=lambda n: int(re.findall(r"\d+", n["name"])[-1]))
    for number, (before, after) in enumerate(zip(attempts, attempts[1:])):
        pause = (moment(after.get("startedAt")) or 0) - (moment(before.get("finishedAt")) or 0)
        wanted = min(2 ** number, 5)
        v.expect(pause >= wanted - 1, f"attempt {number + 1} began {pause} s after the one before, not {wanted}")


def completed(v):
    v.phase("Succeeded", v.root.get("displayName") or v.name)
    v.expect(v.root.get("type") == "Retry", f"the root has type {v.root.get('type')}")


def random_number(v):
    found = re.search(r"result was: (\d+)", v.log_text())
    v.expect(found and 1 <= int(found.group(1)) <= 100, f"the log is {v.log_text()[:200]!r}")


def status_reference(v):
    v.count(6)
    v.phase("Failed", "flakey-container")
    v.phase("Skipped", "succeeded")
    v.log("the flakey container failed")


def locks_of_templates(v):
    for name, seconds in (("synchronization-acquire-lock", 20), ("synchronization-acquire-lock1", 50)):
        jobs = v.like(re.escape(name) + r"\(.*")
        v.expect(len(jobs) == 5, f"{len(jobs)} nodes named {name}")
        ends = sorted(moment(n.get("finishedAt")) or 0 for n in jobs)
        gaps = [b - a for a, b in zip(ends, ends[1:])]
        v.expect(all(gap >= seconds - 1 for gap in gaps), f"{name} ended {gaps} s apart, not {seconds}")


def exits(v):
    v.count(7)
    v.log_count("hello world", 2)
    v.log_count("goodbye world", 2)
    v.expect(len(v.ending(".onExit")) == 2, f"{len(v.ending('.onExit'))} nodes end in .onExit")


def timed_out(v):
    v.log("123")
    v.any_message("Pod was active on the node longer than the specified deadline")
    v.lasted(v.root, 9, 40)


def nested_sequences(v):
    def items(result):
        return result if result >= 1 else 2

    first = (v.node("hello-a").get("outputs") or {}).get("result")
    if not v.expect((first or "").isdigit(), f"the result of hello-a is {first!r}"):
        return
    inner = [n for n in v.like(r"hello-b\(.*\)") if n.get("type") == "Steps"]
    v.expect(len(inner) == items(int(first)), f"result {first} gave {len(inner)} items")
    for node in inner:
        below = [n for n in v.nodes if n.get("boundaryID") == node.get("id")]
        result = next(((n.get("outputs") or {}).get("result") for n in below if n.get("displayName") == "hello-b"), None)
        loops = [n for n in below if re.fullmatch(r"hello-c\(.*\)", n.get("displayName", ""))]
        v.expect(
            (result or "").isdigit() and len(loops) == items(int(result)),
            f"in {node.get('displayName')} result {result} gave {len(loops)} items")


CHECKS = {
    "archive-location.yaml": archived_log,
    "arguments-parameters-from-configmap.yaml": hello,
    "artifact-gc-workflow.yaml": artifact_garbage,
    "artifact-passing.yaml": lambda v: (v.count(5), v.log_count("hello world", 2)),
    "artifact-path-placeholders.yaml": placeholders,
    "cluster-workflow-template/mixed-cluster-namespaced-wftmpl-steps.yaml": mixed_templates,
    "cluster-workflow-template/workflow-template-ref.yaml": hello,
    "coinflip.yaml": coinflip,
    "conditionals-complex.yaml": complex_conditions,
    "custom-metrics.yaml": custom_metrics,
    "dag-conditional-artifacts.yaml": conditional_artifacts,
    "dag-conditional-parameters.yaml": conditional_parameters,
    "dag-diamond-steps.yaml": diamond_of_steps,
    "dag-diamond.yaml": diamond,
    "dag-disable-failFast.yaml": no_fail_fast,
    "dag-multiroot.yaml": lambda v: (v.count(5), v.after("C", "A"), v.after("D", "A", "B")),
    "dag-targets.yaml": dag_targets,
    "exit-code-output-variable.yaml": exit_code,
    "exit-handler-dag-level.yaml": exit_of_tasks,
    "exit-handler-step-level.yaml": exit_of_steps,
    "exit-handler-with-param.yaml": lambda v: v.log("hello world"),
    "expression-destructure-json-complex.yaml": lambda v: v.log(
        '[43][43][{"age":43,"name":"Baris"}]["Baris","Mo","Jai"]'),
    "expression-destructure-json.yaml": lambda v: v.log_count("123", 1),
    "fibonacci-seq-conditional-param.yaml": fibonacci,
    "global-parameters-from-configmap-referenced-as-local-variable.yaml": hello,
    "global-parameters.yaml": hello,
    "hello-world.yaml": lambda v: (hello(v), v.type(v.name, "Pod")),
    "image-pull-secrets.yaml": hello,
    "init-container.yaml": init_container,
    "input-artifact-raw.yaml": raw_artifact,
    "loops-arbitrary-sequential-steps.yaml": sequential_loop,
    "loops-dag.yaml": loop_in_dag,
    "loops-maps.yaml": loop_of_maps,
    "loops-param-argument.yaml": display_names,
    "loops.yaml": loop,
    "map-reduce.yaml": map_reduce,
    "nested-workflow.yaml": nested,
    "node-selector.yaml": lambda v: (v.count(1), v.log("Linux")),
    "output-parameter.yaml": lambda v: (v.count(5), v.log_count("hello world", 1)),
    "parallelism-nested-dag.yaml": subdags_in_pairs,
    "parallelism-nested-workflow.yaml": one_subworkflow_at_a_time,
    "parallelism-nested.yaml": sequential_workers,
    "parameter-aggregation-script.yaml": aggregated_script,
    "pod-gc-strategy-with-label-selector.yaml": lambda v: (
        v.count(5), v.phase("Failed", "fail"), v.phase("Succeeded", "succeed-deleted", "succeed-not-deleted")),
    "pod-gc-strategy.yaml": lambda v: (v.count(4), v.phase("Failed", "fail"), v.phase("Succeeded", "succeed")),
    "pod-metadata-wf-field.yaml": lambda v: (v.count(3), v.log_count("hello1", 1)),
    "pod-resources-template-override.yaml": sidecar,
    "pod-resources.yaml": hello,
    "pod-spec-patch-wf-tmpl.yaml": hello,
    "pod-spec-yaml-patch.yaml": hello,
    "recursive-for-loop.yaml": recursive_loop,
    "resubmit.yaml": memoized_resubmit,
    "retry-backoff.yaml": retried_with_backoff,
    "retry-container-to-completion.yaml": completed,
    "retry-container.yaml": retried,
    "retry-script.yaml": retried,
    "scripts-python.yaml": random_number,
    "status-reference.yaml": status_reference,
    "suspend-template-outputs.yaml": lambda v: v.phase("Running", "approve"),
    "suspend-template.yaml": lambda v: (v.phase("Succeeded", "build"), v.phase("Running", "approve")),
    "synchronization-mutex-tmpl-level.yaml": locks_of_templates,
    "synchronization-mutex-wf-level.yaml": hello,
    "template-on-exit.yaml": exits,
    "timeouts-step.yaml": timed_out,
    "title-and-description-with-markdown.yaml": hello,
    "withsequence-nested-result.yaml": nested_sequences,
    "workflow-template/hello-world.yaml": lambda v: (v.count(3), v.log_count("hello world", 1)),
    "workflow-template/workflow-template-ref-with-entrypoint-arg-passing.yaml": hello,
    "workflow-template/workflow-template-ref.yaml": hello,
}
