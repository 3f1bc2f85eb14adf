#!/usr/bin/env python3
"""Validates what `martlet render` prints for many manifests against Kubernetes' own schemas, and Pod Security.

    kubernetes_check.py [--martlet PATH] [DIR|FILE]...     default: workflows/ and ../shared/argo-*

Needs kubernetes-validate and PyYAML (PyPI). Every object must be valid for the three newest versions that
kubernetes-validate knows, every pod and every template of pods must pass "restricted" unless its manifest asks for more
and is refused, and a second rendering must give the same bytes. Each manifest is rendered as it is, and for an
installation with claims for checkpoints and models. Objects of kinds that others define (JobSet) have no schema here;
they are counted. MARTLET_CONFORMANCE names another folder than ../shared.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "Conformance"))
from fixtures import Fixtures  # noqa: E402 - beside the conformance run, which shares it

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
WORKFLOWS = {"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"}
VARIANTS = {
    "plain": [],
    "claims": ["--checkpoint-claim", "checkpoints", "--model-cache-claim", "models", "--instance", "team-a",
               "--step-image", "registry.example.com/martlet:1", "--step-url", "https://martlet-steps.ml.svc:2747"],
}
# Manifests of which one template cannot be rendered before a run, and what is then said. All others must be whole.
NO_MODEL = "deploy has no model"
PARTLY = {"finetune.yaml": NO_MODEL, "large.yaml": NO_MODEL, "nightly-dpo.yaml": NO_MODEL, "quickstart.yaml": NO_MODEL}


def newest_versions():
    folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    numbers = {tuple(int(n) for n in path.name[1:].split("-")[0].split(".")[:2]) for path in folder.glob("v1.*")}
    return [f"{major}.{minor}" for major, minor in sorted(numbers)[-3:]]


def restricted(pod):
    """What in a pod the level "restricted" does not allow; written from the standard, not from our own check."""
    spec, found = pod["spec"], []
    found += [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    for volume in spec.get("volumes", []):
        found += [f"volume {key}" for key in volume if key != "name" and key not in VOLUMES]
    general = spec.get("securityContext", {})
    for container in spec.get("initContainers", []) + spec["containers"]:
        own, name = container.get("securityContext", {}), container["name"]
        if own.get("privileged") or own.get("procMount", "Default") != "Default":
            found.append(f"{name}: privileged")
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{name}: allowPrivilegeEscalation")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            found.append(f"{name}: capabilities")
        if own.get("runAsNonRoot", general.get("runAsNonRoot")) is not True:
            found.append(f"{name}: runAsNonRoot")
        if own.get("runAsUser", general.get("runAsUser")) == 0:
            found.append(f"{name}: root")
        profile = own.get("seccompProfile", general.get("seccompProfile", {})).get("type")
        if profile not in ("RuntimeDefault", "Localhost"):
            found.append(f"{name}: seccomp {profile}")
        found += [f"{name}: hostPort" for port in container.get("ports", []) if port.get("hostPort")]
        handlers = [container.get(key, {}) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += container.get("lifecycle", {}).values()
        found += [f"{name}: a host in a probe or hook" for handler in handlers
                  for key in ("httpGet", "tcpSocket") if handler.get(key, {}).get("host")]
    return found


def pods_of(thing):
    """The pods that an object is or makes."""
    if thing["kind"] == "Pod":
        return [thing]
    template = thing.get("spec", {}).get("template") if isinstance(thing.get("spec"), dict) else None
    return [template] if isinstance(template, dict) and "containers" in template.get("spec", {}) else []


def marked(thing):
    """Whether an object can be found again and goes with its run."""
    metadata, problems = thing["metadata"], []
    if metadata.get("labels", {}).get("app.kubernetes.io/managed-by") != "martlet":
        problems.append("no label managed-by")
    is_owner = thing["kind"] == "ConfigMap" and metadata["name"].startswith("martlet-run-")
    # What is deployed outlives the run that made it.
    if not is_owner and thing["kind"] in ("Pod", "Job") and not metadata.get("ownerReferences"):
        problems.append("no owner")
    for key, value in metadata.get("labels", {}).items():
        if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
            problems.append(f"label {key}: {value!r}")
    return problems


def render(martlet, path, level, options, loads):
    words = [martlet, "render", str(path), "--pod-security", level, *options]
    words += [word for load in loads for word in ("--load", load)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def check(martlet, path, variant, loads, versions):
    """Problems, and what was counted, of one manifest rendered in one way."""
    problems, counts, level, options = [], {}, "restricted", VARIANTS[variant]

    def count(name):
        counts[name] = counts.get(name, 0) + 1

    done = render(martlet, path, level, options, loads)
    if done.returncode == 1 and 'Pod Security "restricted"' in done.stderr:
        # It asks for more, and is told so; with the word it must be valid all the same.
        level = "privileged"
        count("refused by restricted")
        done = render(martlet, path, level, options, loads)
    if done.returncode == 1 and not done.stdout.strip():
        return [f"nothing was rendered: {done.stderr.strip()[-300:]}"], counts, ""
    why = ""
    if done.returncode == 1:
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        expected = PARTLY.get(path.name)
        if not errors or expected is None or any(expected not in line for line in errors):
            problems.append(f"not all of it was rendered: {' '.join(errors or [done.stderr])[-400:]}")
        count("partly")
        why = f"{path.name}: {done.stderr.strip().splitlines()[-1][:200]}"
    elif done.returncode != 0:
        return [f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"], counts, ""
    if render(martlet, path, level, options, loads).stdout != done.stdout:
        problems.append("a second rendering differs")
    names = set()
    for thing in yaml.safe_load_all(done.stdout):
        place = f"{thing['kind']} {thing['metadata']['name']}"
        if place in names:
            problems.append(f"{place} comes twice")
        names.add(place)
        count(thing["kind"])
        for version in versions:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{place} ({version}): {'.'.join(map(str, error.path))}: {error.message[:300]}")
            except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError):
                count("without a schema")
        problems += [f"{place}: {what}" for what in marked(thing)]
        if level == "restricted":
            problems += [f"{place}: not restricted: {what}" for pod in pods_of(thing) for what in restricted(pod)]
    return problems, counts, why


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "debug" / "martlet"))
    parser.add_argument("paths", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    shared = pathlib.Path(os.environ.get("MARTLET_CONFORMANCE", ROOT.parent / "shared"))
    paths = options.paths or [ROOT / "workflows", shared / "argo-examples", shared / "argo-semantics"]
    for path in paths:
        if not path.exists():
            print(f"no folder {path}, so none of its manifests; MARTLET_CONFORMANCE=DIR names another than ../shared")
    work = []
    for path in filter(pathlib.Path.exists, paths):
        fixtures = Fixtures(path if path.is_dir() else path.parent)
        for file in [path] if path.is_file() else sorted(path.rglob("*.yaml")):
            kinds = set(re.findall(r"^kind:\s*[\"']?(\w+)", file.read_text(encoding="utf-8"), re.M))
            if kinds & WORKFLOWS:
                work += [(file, variant, fixtures.needed_by(file)) for variant in VARIANTS]
    versions, totals, failed, reasons = newest_versions(), {}, 0, set()
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(
            check, *zip(*[(options.martlet, file, variant, loads, versions) for file, variant, loads in work]))
        for (file, variant, _), (problems, counts, why) in zip(work, results):
            failed += bool(problems)
            for problem in problems:
                print(f"{file.name} ({variant}): {problem}", flush=True)
            for name, number in counts.items():
                totals[name] = totals.get(name, 0) + number
            reasons |= {why} - {""}
    print("\n".join(sorted(reasons)))
    print(f"versions {', '.join(versions)}; {len(work)} renderings of {len(work) // len(VARIANTS)} files, "
          f"{failed} failed; {dict(sorted(totals.items()))}")
    return 1 if failed or not work else 0


if __name__ == "__main__":
    sys.exit(main())
