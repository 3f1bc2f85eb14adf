#!/usr/bin/env python3
"""Validates what `martlet render` prints for many manifests against Kubernetes' own schemas, and Pod Security.

    kubernetes_check.py [--martlet PATH] [DIR|FILE]...     default: workflows/ and ../shared/argo-*

Needs kubernetes-validate and PyYAML (PyPI). Every object must be valid for the three newest versions that
kubernetes-validate knows, every pod must pass "restricted" unless its manifest asks for more and is refused, and a
second rendering must give the same bytes.
"""

import argparse
import os
import pathlib
import subprocess
import sys

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


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
    return found


def render(martlet, path, level):
    words = [martlet, "render", str(path), "--pod-security", level]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def check(martlet, path, versions, counts):
    problems = []
    done = render(martlet, path, "restricted")
    level = "restricted"
    if done.returncode == 1 and 'Pod Security "restricted"' in done.stderr:
        # It asks for more, and is told so; with the word it must be valid all the same.
        level, counts["refused"] = "privileged", counts["refused"] + 1
        done = render(martlet, path, level)
    if done.returncode == 1 and not done.stdout.strip():
        return [f"nothing was rendered: {done.stderr.strip()[-300:]}"]
    if done.returncode == 1:
        counts["partly"] += 1
        counts["why"].append(f"{path.name}: {done.stderr.strip().splitlines()[-1][:200]}")
    elif done.returncode != 0:
        return [f"ended with {done.returncode}: {done.stderr.strip()[-300:]}"]
    if render(martlet, path, level).stdout != done.stdout:
        problems.append("a second rendering differs")
    for thing in yaml.safe_load_all(done.stdout):
        place = f"{thing['kind']} {thing['metadata']['name']}"
        counts[thing["kind"]] = counts.get(thing["kind"], 0) + 1
        for version in versions:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{place} ({version}): {'.'.join(map(str, error.path))}: {error.message[:300]}")
        pod = thing if thing["kind"] == "Pod" else thing.get("spec", {}).get("template")
        if pod and level == "restricted":
            problems += [f"{place}: not restricted: {what}" for what in restricted(pod)]
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=str(ROOT / ".build" / "debug" / "martlet"))
    parser.add_argument("paths", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    shared = pathlib.Path(os.environ.get("MARTLET_CONFORMANCE", ROOT.parent / "shared"))
    paths = options.paths or [ROOT / "workflows", shared / "argo-examples", shared / "argo-semantics"]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.yaml")))]
    versions, counts, failed, checked = newest_versions(), {"refused": 0, "partly": 0, "why": []}, 0, 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        if "kind: Workflow" not in text and "kind: CronWorkflow" not in text and "WorkflowTemplate" not in text:
            continue
        checked += 1
        problems = check(options.martlet, file, versions, counts)
        failed += bool(problems)
        for problem in problems:
            print(f"{file.name}: {problem}")
    why = counts.pop("why")
    print("\n".join(why))
    print(f"versions {', '.join(versions)}; {checked} files, {failed} failed; {counts}")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
