#!/usr/bin/env python3
"""The chart, the plain manifests and what each set of values makes of them.

    chart_check.py [--engine PATH] [NAME]...      only cases whose name has NAME in it

Needs PyYAML, jsonschema and kubernetes-validate (PyPI), and kubectl for `kubectl kustomize`; no cluster. The chart is
rendered by chart_render.py, never by helm. Each case says all that its values change against the defaults, so that
nothing else may; every object is validated for the three newest versions, and every pod must be "restricted". With
chart_engine.go, built as it says, Go's own templates must make the same of every case.
"""

import argparse
import base64
import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate

from chart_cases import ARGS, CASES, GONE, KEY, POD, REFUSED, SELECTOR, TOKEN
from chart_render import ChartError, Renderer, documents, merged
from kubernetes_check import newest_versions, restricted
from server import Checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


# MARK: Comparing

def by_place(objects, skip=()):
    """Each leaf by its place; lists of things with names go by them, and arguments by their option."""
    found = {}

    def walk(value, place):
        if isinstance(value, dict) and value:
            for key, item in value.items():
                dotted = "." if not place.endswith(":") else ""
                walk(item, f"{place}{dotted}{key}")
        elif isinstance(value, list) and place.endswith(".args"):
            for word in value:
                option, _, text = word.partition("=")
                before = found.get(f"{place}[{option}]")
                found[f"{place}[{option}]"] = text if before is None else (
                    before if isinstance(before, list) else [before]) + [text]
        elif isinstance(value, list) and value:
            names = [item.get("name") if isinstance(item, dict) else None for item in value]
            keyed = all(names) and len(set(names)) == len(names)
            for position, item in enumerate(value):
                walk(item, f"{place}[{names[position] if keyed else position}]")
        else:
            found[place] = value

    for thing in objects:
        name = f"{thing['kind']}/{thing['metadata']['name']}"
        if name not in skip:
            walk(thing, name + ":")
    return found


def covers(place, leaf):
    return leaf == place or leaf.startswith((place + ".", place + "[", place + ":"))


def difference(default, objects, wanted):
    """What differs from the defaults in another way than it is said to, as lines."""
    before, after = by_place(default), by_place(objects)
    problems, expected = [], {}
    for place, value in wanted.items():
        old = {leaf for leaf in before if covers(place, leaf)}
        if value is GONE:
            expected.update({leaf: GONE for leaf in old})
            if not old:
                problems.append(f"{place} was not there before")
            continue
        # A whole object: what all have, and the given.
        if ":" not in place:
            kind, name = place.split("/")
            leaves = {leaf: item for leaf, item in after.items() if covers(place, leaf)}
            thing = next((one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name), None)
            problems += [f"{place}.{key}: {thing and thing.get(key)!r}" for key in value if key != "metadata" and (
                not thing or thing.get(key) != value[key])]
            if thing and thing["metadata"].get("annotations") != value.get("metadata", {}).get("annotations"):
                problems.append(f"{place}: annotations {thing['metadata'].get('annotations')}")
            expected.update(leaves)
            continue
        fragment = by_place([{"kind": "x", "metadata": {"name": "x"}, "v": value}])
        leaves = {place + leaf[len("x/x:v"):]: item for leaf, item in fragment.items() if leaf.startswith("x/x:v")}
        if isinstance(value, list) and "args[" in place:
            leaves = {place: value}
        expected.update({leaf: GONE for leaf in old - leaves.keys()})
        expected.update(leaves)
    for leaf in sorted(before.keys() | after.keys()):
        is_now, should = after.get(leaf, GONE), expected.get(leaf, before.get(leaf, GONE))
        if is_now != should:
            problems.append(f"{leaf}: {'nothing' if is_now is GONE else repr(is_now)}, "
                            f"expected {'nothing' if should is GONE else repr(should)}")
    for leaf in expected.keys() - before.keys() - after.keys():
        problems.append(f"{leaf} is not there")
    return problems


def validated(objects, versions):
    """What is wrong with objects by Kubernetes' own schemas, and with pods by the level "restricted"."""
    problems = []
    for thing in objects:
        place = f"{thing['kind']} {thing['metadata']['name']}"
        for version in versions:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{place} ({version}): {'.'.join(map(str, error.path))}: {error.message[:300]}")
            except kubernetes_validate.SchemaNotFoundError:
                # The Prometheus operator's kinds are not Kubernetes' own.
                if not thing["apiVersion"].startswith("monitoring.coreos.com/"):
                    problems.append(f"{place}: {version} does not know {thing['apiVersion']}")
        if thing["kind"] == "Deployment":
            problems += [f"{place}: not restricted: {what}" for what in restricted(thing["spec"]["template"])]
    return problems


def selected(objects):
    """Services, policies and the Deployment must mean pods that there are, and nothing a port that is not."""
    problems = []
    deployment = next(thing for thing in objects if thing["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    labels, container = template["metadata"]["labels"], template["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    if mounts != {volume["name"] for volume in template["spec"]["volumes"]}:
        problems.append(f"mounts {sorted(mounts)} are not the volumes")
    chosen = [(deployment, deployment["spec"]["selector"]["matchLabels"])]
    for thing in objects:
        if thing["kind"] == "Service":
            chosen.append((thing, thing["spec"]["selector"]))
            problems += [f"Service {thing['metadata']['name']}: no port {port['targetPort']}"
                         for port in thing["spec"]["ports"] if port["targetPort"] not in ports]
    for thing, selector in chosen:
        if not selector.items() <= labels.items():
            problems.append(f"{thing['kind']} {thing['metadata']['name']} selects {selector}, the pod has {labels}")
    for thing in objects:
        problems += [f"{thing['kind']} {thing['metadata']['name']} has no namespace"
                     for _ in [0] if not thing["metadata"].get("namespace") and thing["kind"] != "Namespace"]
        if thing["kind"] == "RoleBinding":
            problems += [f"a subject without a namespace: {one}" for one in thing["subjects"]
                         if not one.get("namespace")]
    return problems


# MARK: The checks

def kustomized(path):
    done = subprocess.run(["kubectl", "kustomize", str(path)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise ChartError(f"kubectl kustomize {path}: {done.stderr.strip()}")
    return documents(done.stdout)


def without_chart_marks(objects):
    """What only Helm has use for, taken away."""
    result = copy.deepcopy(objects)
    for thing in result:
        labels, notes = thing["metadata"].get("labels", {}), thing["metadata"].get("annotations", {})
        for key in ("helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"):
            labels.pop(key, None)
        notes.pop("helm.sh/resource-policy", None)
        if not notes:
            thing["metadata"].pop("annotations", None)
    return result


def kustomize_checks(checks, default, versions):
    if not shutil.which("kubectl"):
        checks("kubectl is there for the plain manifests", False, "install kubectl; its `kustomize` needs no cluster")
        return
    base, team = kustomized(DEPLOY / "kubernetes"), kustomized(DEPLOY / "overlays" / "team")
    for name, objects in (("base", base), ("team", team)):
        checks.list(f"{name}: every object is valid", validated(objects, versions))
        checks.list(f"{name}: selectors, ports and namespaces fit", selected(objects))
    checks("base: the same bytes each time", base == kustomized(DEPLOY / "kubernetes"))
    chart = [thing for thing in without_chart_marks(default) if thing["kind"] != "Secret"]
    left, right = by_place(chart), by_place(base)
    checks.list("base: what the chart makes by default, without its Secret and Helm's marks", [
        f"{leaf}: chart {left.get(leaf)!r}, base {right.get(leaf)!r}" for leaf in sorted(left.keys() | right.keys())
        if left.get(leaf) != right.get(leaf)])
    image = "registry.example.com/tools/martlet:0.1.0"
    places, spaces = by_place(team), {thing["metadata"].get("namespace", "training") for thing in team}
    checks("team: steps get the server's image", places[POD + "containers[martlet].image"] == image
           and places[POD + "containers[martlet].env[MARTLET_STEP_IMAGE].value"] == image)
    checks("team: everything is in its namespace", spaces == {"training"}, str(spaces))
    claims = {name for name in places if name.startswith("PersistentVolumeClaim/") and name.endswith(":kind")}
    wanted = {places[ARGS + "[--checkpoint-claim]"], places[ARGS + "[--model-cache-claim]"], "martlet"}
    checks("team: claims that are used are there", claims == {f"PersistentVolumeClaim/{name}:kind" for name in wanted})


def keys_of(values, free=("resources", "podSecurityContext", "securityContext")):
    """Places of all values that can be set; maps that are handed on as they are count as one."""
    found = set()
    for key, value in values.items():
        inside = keys_of(value) if isinstance(value, dict) and key not in free else set()
        found |= {f"{key}.{name}" for name in inside} or {key}
    return found


def readme_checks(checks, versions):
    """Commands of the guide that need no cluster do what they say."""
    text = (DEPLOY / "kubernetes" / "README.md").read_text(encoding="utf-8")
    line = re.search(r"^    (sed .*?) \| kubectl apply -n team-a", text, re.M).group(1)
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60)
    objects = documents(done.stdout)
    binding = next((thing for thing in objects if thing["kind"] == "RoleBinding"), {"subjects": []})
    spaces = [one.get("namespace") for one in binding["subjects"]]
    checks("guide: another namespace binds the server's account",
           spaces == ["ml"] and not validated(objects, versions), done.stdout + done.stderr)
    drawn = re.findall(r'--from-literal=([a-z-]+)="(.*)"', text)
    for key, expression in drawn:
        made = subprocess.run(["bash", "-c", f'printf %s "{expression}"'], capture_output=True, text=True, timeout=60)
        fits = {"token": r"mrt_[0-9A-Za-z]{40}", "secret-key": r"[A-Za-z0-9+/]{43}="}[key]
        checks(f"guide: its {key} is one", re.fullmatch(fits, made.stdout), made.stdout)
    checks("guide: it draws both", [key for key, _ in drawn] == ["token", "secret-key"], str(drawn))
    links = re.findall(r"\]\(([^)#]+)\)", text)
    broken = [link for link in links if "://" not in link and not (DEPLOY / "kubernetes" / link).exists()]
    checks("guide: its links lead somewhere", links and not broken, str(broken))
    files = [word for word in re.findall(r"(?:workflows|deploy)/[\w./-]+", text) if not (ROOT / word).exists()]
    checks("guide: its files are there", not files, str(files))


def other_chart_checks(checks, default, versions):
    chart = DEPLOY / "chart"
    shipped = documents((DEPLOY / "kubernetes" / "role.yaml").read_text(encoding="utf-8"))
    role = next(thing for thing in shipped if thing["kind"] == "Role")
    ours = next(thing for thing in default if thing["kind"] == "Role")
    checks("the chart's Role is the shipped one", ours["rules"] == role["rules"], f"{ours['rules']}")
    lease = next(thing for thing in documents((DEPLOY / "kubernetes" / "lease.yaml").read_text(encoding="utf-8"))
                 if thing["kind"] == "Role")
    named = [thing for thing in default if thing["kind"] == "Role" and thing["metadata"]["name"] == "martlet-lease"]
    checks("the chart's Role for the Lease is the shipped one, once", [one["rules"] for one in named] == [
        lease["rules"]], str(named))
    words = [group for thing in (role, ours) for rule in thing["rules"] for group in rule["apiGroups"]]
    checks("Leases are for the server's own namespace", "coordination.k8s.io" not in words, str(words))
    other = Renderer(chart, release="ml").objects({"fullnameOverride": "tool"})
    rules = next(thing for thing in other if thing["kind"] == "Role" and thing["metadata"]["name"] == "tool-lease")
    checks("another installation may change its own Lease only", [
        rule.get("resourceNames") for rule in rules["rules"]] == [None, ["tool"]], str(rules))
    description = documents((chart / "Chart.yaml").read_text())[0]
    version = re.search(r'version = "([^"]+)"', (ROOT / "Sources/martlet/Martlet.swift").read_text()).group(1)
    checks("the chart's appVersion is the program's", description["appVersion"] == version, version)
    known = set(documents((chart / "values.yaml").read_text())[0])
    usual = {
        "replicaCount", "image", "resources", "env", "service", "persistence", "ingress", "serviceAccount",
        "securityContext", "nodeSelector", "tolerations", "affinity"}
    checks("the usual keys are there", usual <= known, str(usual - known))
    set_somewhere = set().union(*(keys_of(values) for _, values, _ in CASES))
    # These change more than a table shows, and have checks of their own below.
    elsewhere = {"workflowNamespaces", "nameOverride", "fullnameOverride"}
    untried = {key for key in keys_of(documents((chart / "values.yaml").read_text())[0]) - elsewhere if not any(
        other == key or other.startswith(key + ".") or key.startswith(other + ".") for other in set_somewhere)}
    checks("each value that can be set is set by a case", not untried, str(sorted(untried)))
    named = Renderer(chart).objects({"fullnameOverride": "tool"})
    checks.list("a full name of one's own: valid, and everywhere", validated(named, versions) + selected(named) + [
        f"{thing['kind']} {thing['metadata']['name']}" for thing in named
        if not thing["metadata"]["name"].startswith("tool")])
    words = [place for place in by_place(named) if ".args[" in place]
    checks("a full name of one's own: the address of steps and the instance follow", {"tool"} == {
        by_place(named)[place] for place in words if "--instance" in place} and any(
            by_place(named)[place] == "http://tool-steps.$(POD_NAMESPACE).svc:2747" for place in words), str(words))
    short = Renderer(chart, release="a").objects({"nameOverride": "m"})
    checks.list("another name: valid, and behind the release's", validated(short, versions) + selected(short) + [
        f"{thing['kind']} {thing['metadata']['name']}" for thing in short
        if not thing["metadata"]["name"].startswith("a-m")])
    more = Renderer(chart).objects({"workflowNamespaces": ["a", "martlet"]})
    checks.list("more namespaces: every object is valid", validated(more, versions))
    got = [(thing["kind"], thing["metadata"]["namespace"]) for thing in more if thing not in default]
    checks("more namespaces: a Role, a binding and a policy each, and the door opens", sorted(got) == sorted([
        ("Role", "a"), ("RoleBinding", "a"), ("NetworkPolicy", "a"), ("NetworkPolicy", "martlet")]), str(got))
    policy = next(thing for thing in more if thing["kind"] == "NetworkPolicy" and thing not in default
                  and thing["metadata"]["namespace"] == "a")
    to_server = next(
        rule for rule in policy["spec"]["egress"] if rule.get("ports") == [{"protocol": "TCP", "port": 2747}])
    checks("more namespaces: their steps reach the server where it is", to_server["to"] == [{
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "martlet"}},
        "podSelector": {"matchLabels": SELECTOR}}], str(to_server))
    # Names: what a release is called shows everywhere, so that two in one namespace do not meet.
    other = Renderer(chart, release="ml-" + "x" * 60, namespace="b").objects()
    problems = validated(other, versions) + selected(other)
    checks.list("a long release: valid, and nothing is called as before", problems + [
        f"{thing['kind']} {thing['metadata']['name']}" for thing in other
        if thing["metadata"]["name"].startswith("martlet") or len(thing["metadata"]["name"]) > 63])
    shared = {(t["kind"], t["metadata"]["name"]) for t in other} & {(t["kind"], t["metadata"]["name"]) for t in default}
    checks("a long release: no object has a name of the first one", not shared, str(shared))
    watched = Renderer(chart).objects({"metrics": {"rules": {"enabled": True}, "dashboard": {"enabled": True}}})
    rules = next(thing for thing in watched if thing["kind"] == "PrometheusRule")
    board = next(thing for thing in watched if thing["kind"] == "ConfigMap")
    drawn = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    checks("the dashboard is the shipped one", json.loads(board["data"]["martlet.json"]) == drawn
           and board["metadata"]["labels"].get("grafana_dashboard") == "1")
    checks("the alert rules are the shipped ones", rules["spec"] == documents(
        (DEPLOY / "monitoring" / "alerts.yaml").read_text(encoding="utf-8"))[0])
    # The token and the key of an earlier installation stay.
    found = next(thing for thing in default if thing["kind"] == "Secret")
    again = Renderer(chart, seed=2, cluster={("Secret", "martlet", "martlet"): found}).objects()
    anew = Renderer(chart, seed=2).objects()
    checks("an upgrade keeps token and key", again == default)
    checks("another installation draws its own", anew != default and difference(default, anew, {
        "Secret/martlet:data.token": next(t for t in anew if t["kind"] == "Secret")["data"]["token"],
        "Secret/martlet:data.secret-key": next(t for t in anew if t["kind"] == "Secret")["data"]["secret-key"]}) == [])
    data = {key: base64.b64decode(text).decode() for key, text in found["data"].items()}
    checks("the token is one, and the key has 32 bytes", re.fullmatch("mrt_[0-9A-Za-z]{40}", data["token"])
           and len(base64.b64decode(data["secret-key"])) == 32)
    for name, values, says in [
        ("by default", {}, ["port-forward -n martlet service/martlet 2746", "plain text", "martlet submit -n martlet"]),
        ("with an ingress", {"ingress": {"enabled": True, "tls": [{"secretName": "t"}]}}, [
            "https://martlet.example.com"]),
        ("without a volume", {"persistence": {"enabled": False}}, ["WARNING: persistence is off"]),
        ("with weak pods", {"steps": {"podSecurity": "privileged"}}, ["steps.podSecurity is privileged"]),
        ("with a balancer", {"service": {"type": "LoadBalancer"}}, ["EXTERNAL-IP, port 2746"]),
        ("on nodes", {"service": {"type": "NodePort"}}, ["any node"]),
    ]:
        notes = Renderer(chart).render(values)["NOTES.txt"]
        checks(f"the notes {name}", all(part in notes for part in says), notes)


def link_checks(checks):
    """A copy in which links became text, as some archives and git on Windows make them, is refused."""
    with tempfile.TemporaryDirectory(prefix="martlet-chart-") as folder:
        copied = pathlib.Path(folder) / "chart"
        shutil.copytree(DEPLOY / "chart", copied)
        for name, values in [("role.yaml", {}), ("alerts.yaml", {"metrics": {"rules": {"enabled": True}}})]:
            for text in ("../elsewhere/" + name, ""):
                kept = (copied / name).read_text(encoding="utf-8")
                (copied / name).write_text(text, encoding="utf-8")
                try:
                    Renderer(copied).objects(values)
                    checks(f"refused: {name} with {text!r} in it", False, "it was rendered")
                except ChartError as error:
                    checks(f"refused: {name} with {text!r} in it", "links are links" in str(error), str(error))
                (copied / name).write_text(kept, encoding="utf-8")


def engine_checks(checks, engine, chart):
    """Whether Go's text/template with Helm's functions makes the same objects, notes and refusals of all cases."""
    def by_go(renderer, values, found=None):
        data = dict(renderer.data(values), Found=found or {})
        return subprocess.run([engine, str(chart)], input=json.dumps(data), capture_output=True, text=True, timeout=60)

    def compared(renderer, values, found=None):
        try:
            ours = renderer.render(values)
        except ChartError as error:
            return "" if str(error) in by_go(renderer, values, found).stderr else f"only ours refuses: {error}"
        done = by_go(renderer, values, found)
        if done.returncode != 0:
            return f"only Go refuses: {done.stderr[-300:]}"
        theirs = json.loads(done.stdout)
        for name in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(name, ""), theirs.get(name, "")
            if name.endswith(".yaml"):
                one, other = documents(one), documents(other)
            if one != other:
                return f"{name}: ours {one}, Go's {other}"
        return ""

    drawn = {"auth": {"token": TOKEN, "secretKey": KEY}}
    for name, values, _ in CASES + [("more namespaces", {"workflowNamespaces": ["a", "b"]}, {})]:
        # What is drawn by chance differs, of course.
        same = values if "existingSecret" in values.get("auth", {}) else merged(drawn, values)
        problem = compared(Renderer(chart), same)
        checks(f"Go: {name}", not problem, problem)
    for name, values, _ in REFUSED:
        try:
            Renderer(chart).data(values)
        except ChartError:
            continue  # The schema refuses it, before templates are looked at.
        problem = compared(Renderer(chart), values)
        checks(f"Go: refused: {name}", not problem, problem)
    for release in ("martlet", "ml", "ml-" + "x" * 60):
        problem = compared(Renderer(chart, release=release, namespace="b"), drawn)
        checks(f"Go: release {release}", not problem, problem)
    secret_object = next(thing for thing in Renderer(chart).objects() if thing["kind"] == "Secret")
    problem = compared(Renderer(chart, cluster={("Secret", "martlet", "martlet"): secret_object}), {}, {
        "Secret/martlet/martlet": secret_object})
    checks("Go: an upgrade", not problem, problem)


class ListChecks(Checks):
    def list(self, name, problems):
        self(name, not problems, "".join(f"\n      {problem}" for problem in problems[:10]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", help="chart_engine.go as a program")
    parser.add_argument("names", nargs="*", help="only cases with one of these in their name")
    options = parser.parse_args()
    chart, versions, checks = DEPLOY / "chart", newest_versions(), ListChecks()

    def is_wanted(name):
        return not options.names or any(part in name for part in options.names)

    default = Renderer(chart).objects()
    for name, values, wanted in CASES:
        if not is_wanted(name):
            continue
        try:
            objects = Renderer(chart).objects(values)
            problems = difference(default, objects, wanted) + validated(objects, versions) + selected(objects)
        except ChartError as error:
            problems = [str(error)]
        checks.list(name, problems)
    for name, values, reason in REFUSED:
        if is_wanted(name):
            try:
                Renderer(chart).objects(values)
                checks(f"refused: {name}", False, "it was rendered")
            except ChartError as error:
                checks(f"refused: {name}", re.search(reason, str(error), re.S), str(error))
    if not options.names:
        other_chart_checks(checks, default, versions)
        link_checks(checks)
        kustomize_checks(checks, default, versions)
        readme_checks(checks, versions)
        if options.engine:
            engine_checks(checks, options.engine, chart)
    print(f"versions {', '.join(versions)}; {checks.failures} failed")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
