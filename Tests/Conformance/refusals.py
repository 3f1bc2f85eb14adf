"""Whether a refusal names the mistake: words that must be in the message, in any wording around them."""

import json
import re

from program import parse

# Each pattern must be found somewhere in the message, upper and lower case alike.
WORDS = {
    "broken-yaml.yaml": [r"yaml|map|indent|expected|could not"],
    "container-output-param-without-path.yaml": [r"path"],
    "container-without-image.yaml": [r"image"],
    "containerset-unknown-dependency.yaml": [r"depend|container", r"\bc\b"],
    "cron-bad-timezone.yaml": [r"time ?zone|Not/A_Real"],
    "cron-negative-deadline.yaml": [r"startingDeadlineSeconds"],
    "cron-no-schedule.yaml": [r"schedule"],
    "cron-six-fields.yaml": [r"five|field|schedule"],
    "dag-arg-valuefrom-path.yaml": [r"valueFrom|path"],
    "dag-artifact-arg-without-source.yaml": [r"from|location|source|artifact"],
    "dag-cycle.yaml": [r"cycle|circ|depends on itself|loop"],
    "dag-output-of-non-ancestor.yaml": [r"\bB\b", r"depend|ancestor|before"],
    "dag-status-of-descendant.yaml": [r"tasks\.B\.status|\bB\b"],
    "dag-target-unknown-input.yaml": [r"inputs\.parameters\.target|target"],
    "dag-undefined-template.yaml": [r"template", r"no template|undefined|unknown|not exist|not found|not defined"],
    "dag-unknown-target.yaml": [r"DOESNTEXIST"],
    "dag-without-tasks.yaml": [r"task"],
    "deadline-on-dag.yaml": [r"activeDeadlineSeconds"],
    "dependencies-task-name-digit.yaml": [r"5A", r"digit"],
    "depends-and-dependencies.yaml": [r"depends", r"dependencies"],
    "depends-unknown-result.yaml": [r"Success\b"],
    "dup-input-param-names.yaml": [r"unique|twice|duplicate|already|same name|more than once"],
    "dup-step-names.yaml": [r"unique|twice|duplicate|already|same name|more than once"],
    "dup-template-names.yaml": [r"unique|twice|duplicate|already|same name|more than once"],
    "entrypoint-is-list.yaml": [r"entrypoint", r"list|array|sequence|string|text"],
    "enum-empty.yaml": [r"enum"],
    "enum-value-not-in-list.yaml": [r"enum|one of"],
    "failures-outside-exit-handler.yaml": [r"workflow\.failures"],
    "initcontainer-without-name.yaml": [r"name"],
    "input-artifact-name-paren.yaml": [r"test\(jpg"],
    "input-param-name-plus.yaml": [r"message\+123"],
    "metric-name-dots.yaml": [r"invalid\.metric\.name"],
    "metric-without-help.yaml": [r"help"],
    "name-too-long.yaml": [r"63"],
    "output-param-no-source.yaml": [r"valueFrom|value"],
    "podgc-selector-operator.yaml": [r"InvalidOperator|operator"],
    "podgc-strategy-unknown.yaml": [r"Foo"],
    "podresources-on-http.yaml": [r"podResources"],
    "realtime-resources-metric.yaml": [r"resourcesDuration|real-?time"],
    "resourceclaims-on-steps.yaml": [r"resourceClaims"],
    "script-without-image.yaml": [r"image|command"],
    "sequence-count-and-end.yaml": [r"count", r"end"],
    "step-missing-argument.yaml": [r"message"],
    "step-name-dot.yaml": [r"hello1\.blah"],
    "step-undefined-template.yaml": [r"hell0"],
    "steps-artifact-arg-without-source.yaml": [r"from|location|source|artifact"],
    "steps-output-param-from-path.yaml": [r"parameter|expression|path"],
    "template-name-underscore.yaml": [r"whalesay_d"],
    "template-without-type.yaml": [r"type|container|steps"],
    "templateref-not-found.yaml": [r"foo"],
    "templates-with-workflowtemplateref.yaml": [r"templates", r"workflowTemplateRef"],
    "timeout-without-unit.yaml": [r"timeout|duration|unit"],
    "two-template-types.yaml": [r"container", r"script"],
    "unknown-field.yaml": [r"someExtraField"],
    "unknown-global-artifact.yaml": [r"nonexistent"],
    "unresolved-input-in-args.yaml": [r"inputs\.parameters\.message|message"],
    "withitems-and-withparam.yaml": [r"withItems", r"withParam"],
    "workflow-hook-without-expression.yaml": [r"expression"],
    "workflowtemplate-unknown-global.yaml": [r"thisdoesnotexist"],
}

PLAIN = set(
    "about after already also argument before cannot does does'nt every field first found from have instead into "
    "manifest must name named names needs neither only other same specified supported than that their there these "
    "this template templates used uses using valid value when where which with without workflow".split())


def missing_words(row, text):
    """What the message lacks; an empty list when it names the mistake."""
    patterns = WORDS.get(row["file"])
    if patterns is not None:
        return [p for p in patterns if not re.search(p, text, re.I)]
    told = row.get("argo_error_contains", "") + " " + row.get("what_is_wrong", "")
    words = {w.strip("'\".,:;()[]{}").lower() for w in told.split()}
    words = {w for w in words if len(w) >= 4 and w not in PLAIN}
    return [] if not words or any(w in text.lower() for w in words) else sorted(words)


def check(row, path, fixtures, program):
    """Problems with how a manifest with a mistake is treated by `lint` and `run`."""
    problems = []
    may_pass = row.get("group") == "argo-strict"
    loads = [word for fixture in fixtures for word in ("--load", fixture)]

    lint = program.call("lint", path, *loads, limit=60)
    if lint.status == 0 and may_pass:
        problems += [] if lint.text().strip() else ["lint says nothing at all"]
    elif lint.status != 1:
        problems.append(f"lint ended with {lint.status} instead of 1: {lint.tail(200)}")
    else:
        lacking = missing_words(row, lint.text())
        problems += [f"lint's message lacks {lacking}: {lint.tail(300)}"] if lacking else []

    listed = program.call("lint", path, *loads, "-o", "json", limit=60)
    problems += json_problems(listed, lint.status)

    run = program.call("run", path, *loads, "-o", "json", "--no-wait")
    if run.status == 2 and not run.out.strip():
        lacking = missing_words(row, run.err)
        problems += [f"run's message lacks {lacking}: {run.tail(300)}"] if lacking else []
    elif not may_pass:
        problems.append(f"run ended with {run.status} and {len(run.out)} bytes of output: {run.tail(200)}")
    return problems


def json_problems(outcome, status):
    """`lint -o json` gives a list of {file, line, column, path, severity, message, remedy}."""
    problems = []
    if outcome.status != status:
        problems.append(f"lint -o json ended with {outcome.status}, lint with {status}")
    try:
        entries = parse(outcome)
    except AssertionError as error:
        return problems + [f"lint -o json: {error}"]
    if not isinstance(entries, list):
        return problems + ["lint -o json does not give a list"]
    errors = [e for e in entries if e.get("severity") == "error"]
    if status == 1 and not errors:
        problems.append("lint -o json lists no error")
    for entry in errors:
        if not entry.get("file") or not isinstance(entry.get("line"), int) or not entry.get("message"):
            problems.append(f"lint -o json lacks file, line or message in {json.dumps(entry)[:200]}")
    return problems
