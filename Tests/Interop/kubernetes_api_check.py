#!/usr/bin/env python3
"""The API server of the tests and Martlet itself against Kubernetes' own API server.

    kubernetes_api_check.py --bin DIR [--conformance FOLDER]... [--only PART]

Kubernetes' own is built once from Debian's source (see real_api_server.py). Then
  calls        the same requests to both: the same answers, as far as a client can tell;
  role         a run with nothing but the rights of deploy/kubernetes/role.yaml, granted by Kubernetes itself;
  conformance  the manifests of each FOLDER as pods of Kubernetes' API server, with the node of the tests.
DIR has martlet, Supervisor and FakeCluster.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from real_api_server import ADMIN, RealAPIServer  # noqa: E402
from server import Checks  # noqa: E402

CORE = "/api/v1/namespaces/ml"
MAPS, PODS, SECRETS, SERVICES = (f"{CORE}/{name}" for name in ("configmaps", "pods", "secrets", "services"))
JOBS = "/apis/batch/v1/namespaces/ml/jobs"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/ml/leases"
MERGE, STRATEGIC, PATCH, APPLY = (
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json",
    "application/apply-patch+yaml")
# Longer no event of a watch is waited for.
EVENT_SECONDS = 60


class API:
    def __init__(self, url, token="", context=None):
        self.address = urllib.parse.urlsplit(url)
        self.token, self.context = token, context

    def open(self, method, path, body=None, kind="application/json"):
        if self.address.scheme == "https":
            connection = http.client.HTTPSConnection(self.address.netloc, context=self.context, timeout=EVENT_SECONDS)
        else:
            connection = http.client.HTTPConnection(self.address.netloc, timeout=EVENT_SECONDS)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = kind
        connection.request(method, path, data, headers)
        return connection, connection.getresponse()

    def call(self, method, path, body=None, kind="application/json"):
        connection, answer = self.open(method, path, body, kind)
        text = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {}

    def told(self, method, path, body=None, kind="application/json", show=None):
        """Status, the reason of an error, and what `show` makes of an object."""
        status, answer = self.call(method, path, body, kind)
        if status >= 300:
            return status, answer.get("reason", "")
        return status, show(answer) if show else None

    def names(self, path, **query):
        status, answer = self.call("GET", f"{path}?{encoded(**query)}")
        if status >= 300:
            return status, answer.get("reason", "")
        return sorted(item["metadata"]["name"] for item in answer["items"])

    def version(self, path):
        return self.call("GET", path)[1]["metadata"]["resourceVersion"]


def encoded(**query):
    return urllib.parse.urlencode(query, quote_via=urllib.parse.quote)


def named(kind, name, version="v1", labels=None, **fields):
    metadata = {"name": name, "namespace": "ml", **({"labels": labels} if labels else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def config(name, labels=None, **data):
    return named("ConfigMap", name, labels=labels, data=data)


def pod(name, labels=None, container=None, **spec):
    main = {"name": "main", "image": "busybox:1", "command": ["true"], **(container or {})}
    # As all pods of Martlet: without a token of the cluster.
    fields = {"containers": [main], "restartPolicy": "Never", "automountServiceAccountToken": False, **spec}
    return named("Pod", name, labels=labels, spec=fields)


def job(name, policy="Never", **spec):
    template = {"spec": {"containers": [{"name": "main", "image": "busybox:1"}], "restartPolicy": policy}}
    return named("Job", name, version="batch/v1", spec={"template": template, **spec})


def data(answer):
    return answer.get("data")


# Each yields what is compared: a name, and a value that must be the same in both.

def objects(api):
    yield "a create", api.told("POST", MAPS, config("a", x="1"), show=data)
    yield "the same again", api.told("POST", MAPS, config("a", x="2"))
    yield "what is not there", api.told("GET", f"{MAPS}/none")
    yield "a resource that is not known", api.told("GET", f"{CORE}/nothings")[0]
    old = api.version(f"{MAPS}/a")
    body = config("a", x="2")
    yield "a replacement without a version", api.told("PUT", f"{MAPS}/a", body, show=data)
    body["metadata"]["resourceVersion"] = old
    yield "one of an old version", api.told("PUT", f"{MAPS}/a", body)
    body["metadata"]["resourceVersion"] = api.version(f"{MAPS}/a")
    yield "one of the newest version", api.told("PUT", f"{MAPS}/a", body, show=data)
    yield "one of what is not there", api.told("PUT", f"{MAPS}/none", config("none"))
    yield "one with another name", api.told("PUT", f"{MAPS}/a", config("b"))
    yield "one in another namespace", api.told(
        "PUT", f"{MAPS}/a", {**config("a"), "metadata": {"name": "a", "namespace": "other"}})
    yield "a create in another namespace", api.told(
        "POST", MAPS, {**config("a"), "metadata": {"name": "q", "namespace": "other"}})
    yield "another kind", api.told("POST", MAPS, named("Secret", "s"))
    yield "no JSON", api.told("POST", MAPS, b"{")
    yield "a field of another type", api.told("POST", MAPS, config("t", x=1))
    yield "no name", api.told("POST", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
    yield "a name that is none", api.told("POST", MAPS, config("Not_A_Name"))
    yield "a label that is none", api.told("POST", MAPS, config("l", labels={"a": "no label!"}))
    generated = api.call("POST", MAPS, {**config("x"), "metadata": {"generateName": "made-"}})
    made = generated[1]["metadata"]["name"]
    yield "a name that is made", (generated[0], bool(re.fullmatch(r"made-[a-z0-9]{5}", made)))
    yield "its deletion", api.told("DELETE", f"{MAPS}/{made}")
    fixed = {**config("fixed", x="1"), "immutable": True}
    yield "what must not change", api.told("POST", MAPS, fixed)
    yield "changed", api.told("PATCH", f"{MAPS}/fixed", {"data": {"x": "2"}}, MERGE)
    yield "a deletion of another uid", api.told(
        "DELETE", f"{MAPS}/fixed", {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}})
    yield "a deletion", api.told("DELETE", f"{MAPS}/fixed")
    yield "again", api.told("DELETE", f"{MAPS}/fixed")
    yield "text of a Secret becomes data", api.told(
        "POST", SECRETS, named("Secret", "s", stringData={"k": "v"}), show=lambda a: (a.get("data"), a.get("type")))


def patches(api):
    api.call("POST", MAPS, config("p", x="1", y="2"))
    yield "a merge", api.told("PATCH", f"{MAPS}/p", {"data": {"x": None, "z": "3"}}, MERGE, data)
    yield "one of an old version", api.told("PATCH", f"{MAPS}/p", {"metadata": {"resourceVersion": "1"}}, MERGE)
    yield "operations", api.told("PATCH", f"{MAPS}/p", [{"op": "add", "path": "/data/a", "value": "4"}], PATCH, data)
    yield "a test that fails", api.told("PATCH", f"{MAPS}/p", [{"op": "test", "path": "/data/a", "value": "5"}], PATCH)
    yield "a path that is not there", api.told("PATCH", f"{MAPS}/p", [{"op": "remove", "path": "/data/none"}], PATCH)
    yield "operations that are none", api.told("PATCH", f"{MAPS}/p", {"op": "remove"}, PATCH)
    yield "a type of patch that is none", api.told("PATCH", f"{MAPS}/p", {}, "text/plain")[0]
    yield "of what is not there", api.told("PATCH", f"{MAPS}/none", {"data": {}}, MERGE)
    api.call("POST", PODS, pod("p"))
    images = lambda answer: [(one["name"], one["image"]) for one in answer["spec"]["containers"]]  # noqa: E731
    yield "a strategic merge finds containers by name", api.told(
        "PATCH", f"{PODS}/p", {"spec": {"containers": [{"name": "main", "image": "busybox:2"}]}}, STRATEGIC, images)

    def apply(manager, force=False, **values):
        query = f"fieldManager={manager}" + ("&force=true" if force else "")
        return api.told("PATCH", f"{MAPS}/applied?{query}", config("applied", **values), APPLY, data)

    yield "an apply makes", apply("one", x="1", y="1")
    yield "the same again", apply("one", x="1", y="1")
    yield "another manager's field", apply("two", x="2")
    yield "taken by force", apply("two", force=True, x="2")
    yield "what a manager drops goes", apply("one", z="3")


def lists(api):
    for name, labels in (("l1", {"a": "1"}), ("l2", {"a": "2", "b": "1"}), ("l3", {"b": "2"}), ("l4", {"a": "1", "b": "1"})):
        api.call("POST", MAPS, config(name, labels={"set": "lists", **labels}))
    for selector in ("set=lists", "a=1", "a==1,b", "a!=1,set=lists", "a in (1,2)", "a notin (1),set=lists", "!a,set=lists",
                     "b,!a", "a in (1", "=", "a=1,"):
        yield f"labels {selector}", api.names(MAPS, labelSelector=selector)
    for selector in ("metadata.name=l1", "metadata.name!=l1,metadata.namespace=ml", "data.x=1"):
        yield f"fields {selector}", [name for name in api.names(MAPS, fieldSelector=selector, labelSelector="set=lists")]
    pages, token = [], ""
    while True:
        status, page = api.call("GET", f"{MAPS}?labelSelector=set%3Dlists&limit=3" + (f"&continue={token}" if token else ""))
        pages.append(sorted(item["metadata"]["name"] for item in page.get("items", [])))
        token = page.get("metadata", {}).get("continue", "")
        if not token or status >= 300:
            break
    yield "pages", pages
    yield "a page that is none", api.told("GET", f"{MAPS}?limit=3&continue=rubbish")
    yield "of all namespaces", "l1" in api.names("/api/v1/configmaps", labelSelector="set=lists")
    yield "a collection's deletion", api.told("DELETE", f"{MAPS}?labelSelector=set%3Dlists")
    yield "after it", api.names(MAPS, labelSelector="set=lists")


def pods(api):
    cases = [
        ("no container", {"containers": []}, None), ("a policy that is none", {"restartPolicy": "Maybe"}, None),
        ("a volume that is not there", {}, {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
        ("no image", {}, {"image": ""}), ("a container's name that is none", {}, {"name": "Main"}),
        ("a variable without a name", {}, {"env": [{"name": "", "value": "x"}]}),
        ("a quantity that is none", {}, {"resources": {"limits": {"cpu": "1x"}}}),
        ("a request above its limit", {}, {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}),
        ("a port that is none", {}, {"ports": [{"containerPort": 70000}]}),
        ("a mount without a path", {"volumes": [{"name": "v", "emptyDir": {}}]}, {"volumeMounts": [{"name": "v", "mountPath": ""}]}),
        ("a volume twice", {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]}, None),
        ("a grace below 0", {"terminationGracePeriodSeconds": -1}, None),
        ("a deadline below 1", {"activeDeadlineSeconds": 0}, None),
    ]
    for number, (name, spec, container) in enumerate(cases):
        yield name, api.told("POST", PODS, pod(f"bad{number}", container=container, **spec))
    twice = pod("twice")
    twice["spec"]["containers"] *= 2
    yield "a container twice", api.told("POST", PODS, twice)
    yield "a pod", api.told("POST", PODS, pod("one"), show=lambda a: a["status"]["phase"])
    yield "another image", api.told("PATCH", f"{PODS}/one", {"spec": {"containers": [{"name": "main", "image": "b:2"}]}}, STRATEGIC)
    yield "another command", api.told("PATCH", f"{PODS}/one", {"spec": {"containers": [{"name": "main", "command": ["no"]}]}}, STRATEGIC)
    yield "another service account", api.told("PATCH", f"{PODS}/one", {"spec": {"serviceAccountName": "x"}}, MERGE)
    yield "a status beside its door", api.told(
        "PATCH", f"{PODS}/one", {"status": {"phase": "Running"}}, MERGE, lambda a: a["status"]["phase"])
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "one"}, "target": {"kind": "Node", "name": "n1"}}
    yield "a binding", api.told("POST", f"{PODS}/one/binding", binding)
    yield "again", api.told("POST", f"{PODS}/one/binding", binding)
    yield "its node", api.told("GET", f"{PODS}/one", show=lambda a: a["spec"]["nodeName"])
    yield "a status", api.told(
        "PATCH", f"{PODS}/one/status", {"status": {"phase": "Running"}}, MERGE, lambda a: a["status"]["phase"])
    yield "a specification at the status' door", api.told(
        "PATCH", f"{PODS}/one/status", {"spec": {"activeDeadlineSeconds": 5}}, MERGE,
        lambda a: a["spec"].get("activeDeadlineSeconds"))
    yield "by node", api.names(PODS, fieldSelector="spec.nodeName=n1")
    yield "by phase", api.names(PODS, fieldSelector="status.phase=Running")
    yield "a deadline that is set later", api.told("PATCH", f"{PODS}/one", {"spec": {"activeDeadlineSeconds": 60}}, MERGE)
    leaving = lambda a: ("deletionTimestamp" in a["metadata"], a["metadata"].get("deletionGracePeriodSeconds"))  # noqa: E731
    yield "a deletion waits for the node", api.told("DELETE", f"{PODS}/one?gracePeriodSeconds=7", show=leaving)
    yield "and is seen", api.told("GET", f"{PODS}/one", show=leaving)
    yield "a shorter grace", api.told("DELETE", f"{PODS}/one?gracePeriodSeconds=3", show=leaving)
    yield "a longer one changes nothing", api.told("DELETE", f"{PODS}/one?gracePeriodSeconds=9", show=leaving)
    yield "none", api.told("DELETE", f"{PODS}/one?gracePeriodSeconds=0")
    yield "then it is gone", api.told("GET", f"{PODS}/one")
    api.call("POST", PODS, pod("two"))
    yield "one without a node goes at once", (api.told("DELETE", f"{PODS}/two"), api.told("GET", f"{PODS}/two"))
    kept = pod("three")
    kept["metadata"]["finalizers"] = ["example.com/keep"]
    yield "one that is held", api.told("POST", PODS, kept)
    yield "is leaving", api.told("DELETE", f"{PODS}/three", show=lambda a: leaving(a)[0])
    yield "can be held by no more", api.told(
        "PATCH", f"{PODS}/three", {"metadata": {"finalizers": ["example.com/keep", "example.com/more"]}}, MERGE)
    yield "is let go", api.told("PATCH", f"{PODS}/three", {"metadata": {"finalizers": None}}, MERGE)
    yield "and is gone", api.told("GET", f"{PODS}/three")


def others(api):
    yield "a job", api.told("POST", JOBS, job("j", backoffLimit=0), show=lambda a: a["spec"]["backoffLimit"])
    yield "one that never ends", api.told("POST", JOBS, job("bad", policy="Always"))
    yield "another template", api.told("PATCH", f"{JOBS}/j", {"spec": {"template": {"spec": {"hostname": "x"}}}}, MERGE)
    yield "another parallelism", api.told("PATCH", f"{JOBS}/j", {"spec": {"parallelism": 2}}, MERGE)
    headless = named("Service", "s", spec={"clusterIP": "None", "selector": {"a": "1"}, "ports": [{"port": 80}]})
    yield "a service without an address", api.told("POST", SERVICES, headless, show=lambda a: a["spec"]["clusterIP"])
    yield "a service's name that is none", api.told("POST", SERVICES, {**headless, "metadata": {"name": "0s"}})
    lease = named("Lease", "l", version="coordination.k8s.io/v1", spec={"holderIdentity": "a", "leaseDurationSeconds": 15})
    yield "a lease", api.told("POST", LEASES, lease)
    old = api.version(f"{LEASES}/l")
    lease["metadata"]["resourceVersion"] = old
    lease["spec"]["holderIdentity"] = "b"
    yield "taken", api.told("PUT", f"{LEASES}/l", lease, show=lambda a: a["spec"]["holderIdentity"])
    lease["spec"]["holderIdentity"] = "c"
    yield "by one who is late", api.told("PUT", f"{LEASES}/l", lease)
    lease["metadata"]["resourceVersion"] = api.version(f"{LEASES}/l")
    lease["spec"]["leaseDurationSeconds"] = 0
    yield "for no time", api.told("PUT", f"{LEASES}/l", lease)


def watches(api):
    def watch(path, **query):
        """Begins a watch; the list that it returns grows until the object `last` comes."""
        events, came = [], threading.Event()
        connection, answer = api.open("GET", f"{path}?{encoded(watch='true', **query)}")

        def read():
            for line in answer:
                event = json.loads(line)
                name = event["object"].get("metadata", {}).get("name", event["object"].get("reason"))
                events.append((event["type"], name))
                if name == "last":
                    break
            connection.close()
            came.set()

        threading.Thread(target=read, daemon=True).start()
        return events, came

    api.call("POST", MAPS, config("w0", labels={"watched": "yes"}))
    start = api.call("GET", MAPS)[1]["metadata"]["resourceVersion"]
    api.call("POST", MAPS, config("between", labels={"watched": "yes"}))
    here = [
        watch(MAPS, resourceVersion=start, labelSelector="watched=yes"), watch(MAPS, labelSelector="watched=yes"),
        watch(MAPS, resourceVersion=start, fieldSelector="metadata.name=last")]
    api.call("POST", MAPS, config("w1", labels={"watched": "yes"}))
    api.call("PATCH", f"{MAPS}/w1", {"data": {"x": "1"}}, MERGE)
    api.call("PATCH", f"{MAPS}/w1", {"metadata": {"labels": {"watched": "no"}}}, MERGE)
    api.call("PATCH", f"{MAPS}/w1", {"data": {"x": "2"}}, MERGE)
    api.call("PATCH", f"{MAPS}/w1", {"metadata": {"labels": {"watched": "yes"}}}, MERGE)
    api.call("PATCH", f"{MAPS}/w1", {"data": {"x": "2"}}, MERGE)
    api.call("DELETE", f"{MAPS}/w1")
    api.call("POST", MAPS, config("last", labels={"watched": "yes"}))
    for name, (events, came) in zip(("from a list on", "from what there is", "of one name"), here):
        came.wait(EVENT_SECONDS)
        # What there is comes in no order that is promised.
        split = events.index(("ADDED", "w1")) if ("ADDED", "w1") in events else 0
        yield f"a watch {name}", sorted(events[:split]) + events[split:]
    connection, answer = api.open("GET", f"{MAPS}?watch=true&timeoutSeconds=1&resourceVersion={api.call('GET', MAPS)[1]['metadata']['resourceVersion']}")
    yield "a watch that has its time", (answer.status, answer.read())
    connection.close()


SCENARIOS = [objects, patches, lists, pods, others, watches]


def compare(check, mine, theirs):
    for scenario in SCENARIOS:
        for (name, ours), (_, real) in zip(scenario(mine), scenario(theirs), strict=True):
            check(f"{scenario.__name__}: {name}", ours == real, f"ours {ours!r}, Kubernetes' {real!r}")


def prepare(api):
    for name in ("ml", "other"):
        api.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        api.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})


def calls(check, programs, real):
    with tempfile.TemporaryDirectory(prefix="martlet-api-check-") as folder:
        ours = subprocess.Popen(
            [str(programs / "FakeCluster"), folder, folder, "--no-node"], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            line = ours.stderr.readline()
            if not line.startswith("ready: "):
                sys.exit(f"the cluster did not start: {line!r}")
            mine, theirs = API(line.split()[1], "martlet"), API(real.url, ADMIN, real.context)
            for api in (mine, theirs):
                prepare(api)
            compare(check, mine, theirs)
        finally:
            ours.terminate()
            ours.wait(10)


WORKFLOW = """
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {word: hidden}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: rights}
spec:
  entrypoint: main
  podGC: {strategy: OnPodCompletion}
  templates:
    - name: main
      steps:
        - [{name: write, template: write}]
        - - name: read
            template: read
            arguments:
              parameters: [{name: said, value: "{{steps.write.outputs.parameters.said}}"}]
              artifacts: [{name: file, from: "{{steps.write.outputs.artifacts.file}}"}]
    - name: write
      container:
        image: busybox:1
        command: [sh, -c, "echo $WORD > /tmp/said; echo text > /tmp/file"]
        env: [{name: WORD, valueFrom: {secretKeyRef: {name: keys, key: word}}}]
      outputs:
        parameters: [{name: said, valueFrom: {path: /tmp/said}}]
        artifacts: [{name: file, path: /tmp/file}]
    - name: read
      inputs: {parameters: [{name: said}], artifacts: [{name: file, path: /tmp/read}]}
      script: {image: busybox:1, command: [sh], source: 'test "{{inputs.parameters.said}}" = hidden && cat /tmp/read'}
"""


def role(check, programs, real):
    admin = API(real.url, ADMIN, real.context)
    admin.call("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "steps"}})
    admin.call("POST", "/api/v1/namespaces/steps/serviceaccounts", {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    with tempfile.TemporaryDirectory(prefix="martlet-api-check-") as folder:
        martlet = [str(programs / "martlet"), "run"]
        place = ["--executor", "kubernetes", "-n", "steps", "--step-listen", "127.0.0.1:0", "--step-image", "martlet:test"]
        # As kustomize does, which names the account's namespace.
        text = (ROOT / "deploy" / "kubernetes" / "role.yaml").read_text(encoding="utf-8")
        text = re.sub(r"(- kind: ServiceAccount\n  name: martlet)", r"\1\n  namespace: steps", text)
        documents = [one for one in re.split(r"^---$", text, flags=re.M) if one.strip()]
        templates = [{"name": f"t{i}", "resource": {"action": "apply", "flags": ["-n", "steps"], "manifest": one}}
                     for i, one in enumerate(documents)]
        calls = [[{"name": f"s{i}", "template": f"t{i}"}] for i in range(len(documents))]
        grant = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "grant"}, "spec": {
            "entrypoint": "main", "templates": [{"name": "main", "steps": calls}, *templates]}}
        path = pathlib.Path(folder)
        (path / "grant.json").write_text(json.dumps(grant), encoding="utf-8")
        (path / "rights.yaml").write_text(WORKFLOW, encoding="utf-8")
        outcome = subprocess.run(
            [*martlet, f"{folder}/grant.json", "--kubeconfig", real.kubeconfig, "--data-dir", f"{folder}/admin", *place],
            capture_output=True, text=True, timeout=120)
        check("the shipped Role, account and binding are applied", outcome.returncode == 0, outcome.stdout + outcome.stderr)
        token = admin.call("POST", "/api/v1/namespaces/steps/serviceaccounts/martlet/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})
        account = token[1]["status"]["token"]
        (path / "node").mkdir()
        with open(path / "node.log", "wb") as log:
            node = subprocess.Popen(
                [str(programs / "FakeCluster"), f"{folder}/node", str(programs), real.kubeconfig], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        try:
            outcome = subprocess.run(
                [*martlet, f"{folder}/rights.yaml", "--kubeconfig", real.write_kubeconfig("account", account),
                 "--data-dir", f"{folder}/data", *place], capture_output=True, text=True, timeout=120)
        finally:
            node.terminate()
            node.wait(20)
        said = outcome.stdout + outcome.stderr
        check("a run with these rights succeeds", outcome.returncode == 0, said)
        check("and is refused nothing", "forbidden" not in said.lower(), said)
        mine = API(real.url, account, real.context)
        names = mine.names("/api/v1/namespaces/steps/pods")
        check("its pods are gone, as podGC says", names == [], repr(names))
        for name, path in (("read Secrets", "/api/v1/namespaces/steps/secrets"), ("see nodes", "/api/v1/nodes"),
                           ("see other namespaces", PODS)):
            answer = mine.told("GET", path)
            check(f"the account may not {name}", answer == (403, "Forbidden"), repr(answer))


def conformance(check, programs, real, folders):
    environment = {
        **os.environ, "MARTLET_TEST_KUBECONFIG": real.kubeconfig, "MARTLET_TEST_FAKE_KUBELET": "1"}
    for folder in folders:
        status = subprocess.run(
            [sys.executable, str(ROOT / "Tests" / "Conformance" / "kubernetes.py"), "--bin", str(programs), folder],
            env=environment).returncode
        check(f"{os.path.basename(folder)} on Kubernetes' API server", status == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--conformance", action="append", default=[])
    parser.add_argument("--only", choices=["calls", "role", "conformance"])
    options = parser.parse_args()
    programs = options.bin.resolve()
    check = Checks()
    with RealAPIServer() as real:
        if options.only in (None, "calls"):
            calls(check, programs, real)
        if options.only in (None, "role"):
            role(check, programs, real)
        if options.only in (None, "conformance"):
            conformance(check, programs, real, options.conformance)
    print(f"{check.failures} failed" if check.failures else "all checks passed")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
