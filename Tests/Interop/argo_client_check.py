"""The generated client of Argo's interface (`argo-workflows` on PyPI) against `martlet server`.

Needs argo-workflows. Nothing leaves the loopback interface.
"""

import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import argo_workflows  # noqa: E402
from argo_workflows.api import (  # noqa: E402
    archived_workflow_service_api, cluster_workflow_template_service_api, cron_workflow_service_api,
    event_service_api, info_service_api, sensor_service_api, workflow_service_api, workflow_template_service_api,
)
from argo_workflows.exceptions import ApiException, NotFoundException  # noqa: E402
from argo_workflows.models import (  # noqa: E402
    IoArgoprojWorkflowV1alpha1ClusterWorkflowTemplateCreateRequest as CreateClusterTemplate,
    IoArgoprojWorkflowV1alpha1CreateCronWorkflowRequest as CreateCron,
    IoArgoprojWorkflowV1alpha1CronWorkflowResumeRequest as ResumeCron,
    IoArgoprojWorkflowV1alpha1CronWorkflowSuspendRequest as SuspendCron,
    IoArgoprojWorkflowV1alpha1ResubmitArchivedWorkflowRequest as ResubmitArchived,
    IoArgoprojWorkflowV1alpha1WorkflowCreateRequest as Create,
    IoArgoprojWorkflowV1alpha1WorkflowLintRequest as Lint,
    IoArgoprojWorkflowV1alpha1WorkflowResubmitRequest as Resubmit,
    IoArgoprojWorkflowV1alpha1WorkflowRetryRequest as Retry,
    IoArgoprojWorkflowV1alpha1WorkflowStopRequest as Stop,
    IoArgoprojWorkflowV1alpha1WorkflowSubmitRequest as Submit,
    IoArgoprojWorkflowV1alpha1WorkflowTemplateCreateRequest as CreateTemplate,
    IoArgoprojWorkflowV1alpha1WorkflowTemplateUpdateRequest as UpdateTemplate,
)

from server import Checks, Server  # noqa: E402

NAMESPACE = "default"
#: Manifests are plain dictionaries, which the client sends as they are.
PLAIN = {"_check_return_type": False}


def manifest(script, **metadata):
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata,
        "spec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "container": {"image": "busybox", "command": ["sh", "-c"], "args": [script]}}],
        },
    }


def raw(call, *arguments, **named):
    """The body of an answer as JSON, whatever the client's models make of it."""
    answer = call(*arguments, _preload_content=False, **named, **PLAIN)
    return json.loads(answer.data)


class Client:
    def __init__(self, url):
        client = argo_workflows.ApiClient(argo_workflows.Configuration(host=url))
        self.runs = workflow_service_api.WorkflowServiceApi(client)
        self.templates = workflow_template_service_api.WorkflowTemplateServiceApi(client)
        self.cluster = cluster_workflow_template_service_api.ClusterWorkflowTemplateServiceApi(client)
        self.crons = cron_workflow_service_api.CronWorkflowServiceApi(client)
        self.archive = archived_workflow_service_api.ArchivedWorkflowServiceApi(client)
        self.info = info_service_api.InfoServiceApi(client)
        self.events = event_service_api.EventServiceApi(client)
        self.sensors = sensor_service_api.SensorServiceApi(client)

    def create(self, document):
        return raw(self.runs.create_workflow, NAMESPACE, Create(workflow=document, _check_type=False))

    def until(self, name, phases, seconds=60):
        end = time.monotonic() + seconds
        while True:
            found = raw(self.runs.get_workflow, NAMESPACE, name)
            if found["status"].get("phase") in phases or time.monotonic() > end:
                return found
            time.sleep(0.1)


def check_runs(client, check):
    linted = raw(client.runs.lint_workflow, NAMESPACE, Lint(workflow=manifest("true", name="fine"), _check_type=False))
    check("lint answers the workflow", linted["metadata"]["name"] == "fine")
    created = client.create(manifest("echo one; echo two", generateName="client-"))
    name = created["metadata"]["name"]
    ended = client.until(name, ["Succeeded"])
    check("a run is created and succeeds", ended["status"]["phase"] == "Succeeded", ended["status"])
    typed = client.runs.get_workflow(NAMESPACE, name, _check_return_type=False)
    check("the client's own models take it", typed.metadata["name"] == name)
    listed = raw(client.runs.list_workflows, NAMESPACE, fields="metadata,items.metadata.name")
    check("list with fields", listed["items"] == [{"metadata": {"name": name}}], listed)

    log = client.runs.workflow_logs(NAMESPACE, name, log_options_container="main", _check_return_type=False)
    check("a log in the client's shape", log.result["content"] == "one\ntwo", log)
    stream = client.runs.workflow_logs(
        NAMESPACE, name, log_options_follow=True, _preload_content=False, **PLAIN)
    lines = [json.loads(line)["result"]["content"] for line in stream.data.splitlines()]
    check("a log followed to its end", lines == ["one", "two"], lines)

    again = raw(client.runs.resubmit_workflow, NAMESPACE, name, Resubmit(_check_type=False))
    check("resubmit", client.until(again["metadata"]["name"], ["Succeeded"])["status"]["phase"] == "Succeeded")
    failing = client.create(manifest("exit 3", name="failing"))["metadata"]["name"]
    check("a run that fails", client.until(failing, ["Failed"])["status"]["phase"] == "Failed")
    retried = raw(client.runs.retry_workflow, NAMESPACE, failing, Retry(_check_type=False))
    check("retry", retried["metadata"]["uid"] == raw(client.runs.get_workflow, NAMESPACE, failing)["metadata"]["uid"])
    client.until(failing, ["Failed"])
    return name, created["metadata"]["uid"]


def check_watch(client, check):
    version = raw(client.runs.list_workflows, NAMESPACE)["metadata"]["resourceVersion"]
    stream = client.runs.watch_workflows(
        NAMESPACE, list_options_resource_version=version, _preload_content=False, _request_timeout=60, **PLAIN)
    client.create(manifest("echo watched", name="watched"))
    seen = []
    for line in stream_lines(stream):
        event = json.loads(line)["result"]
        seen.append((event["type"], event["object"]["metadata"]["name"], event["object"]["status"]["phase"]))
        if seen[-1][2] == "Succeeded":
            break
    stream.close()
    check("a watch tells a run from its beginning to its end", seen[0][:2] == ("ADDED", "watched"), seen)
    check("and nothing of others", {entry[1] for entry in seen} == {"watched"}, seen)
    place = json.loads(line)["result"]["object"]["metadata"]["resourceVersion"]
    client.runs.delete_workflow(NAMESPACE, "watched", **PLAIN)
    stream = client.runs.watch_workflows(
        NAMESPACE, list_options_resource_version=place, _preload_content=False, _request_timeout=60, **PLAIN)
    event = json.loads(next(stream_lines(stream)))["result"]
    stream.close()
    check("it goes on where it ended", (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "watched"), event)


def stream_lines(stream):
    """Lines of an answer as they come."""
    rest = b""
    while True:
        piece = stream.read1(65536) if hasattr(stream, "read1") else stream.read(1)
        if not piece:
            return
        rest += piece
        *lines, rest = rest.split(b"\n")
        yield from filter(None, lines)


def check_definitions(client, check):
    template = manifest("true", name="steps")
    template["kind"] = "WorkflowTemplate"
    made = raw(client.templates.create_workflow_template, NAMESPACE, CreateTemplate(template=template, _check_type=False))
    check("create a template", made["metadata"]["resourceVersion"] != "")
    made["metadata"]["labels"] = {"stage": "two"}
    changed = raw(
        client.templates.update_workflow_template, NAMESPACE, "steps", UpdateTemplate(template=made, _check_type=False))
    check("update it", changed["metadata"]["generation"] == 2)
    conflict = check.raises(
        "an old version is refused", ApiException,
        lambda: raw(client.templates.update_workflow_template, NAMESPACE, "steps",
                    UpdateTemplate(template=dict(made, spec=dict(made["spec"], parallelism=2)), _check_type=False)))
    check("with 409", conflict is not None and conflict.status == 409)
    run = raw(
        client.runs.submit_workflow, NAMESPACE,
        Submit(resource_kind="WorkflowTemplate", resource_name="steps", _check_type=False))
    check("submit from it", client.until(run["metadata"]["name"], ["Succeeded"])["status"]["phase"] == "Succeeded")
    check("list templates", len(raw(client.templates.list_workflow_templates, NAMESPACE)["items"]) == 1)
    raw(client.templates.delete_workflow_template, NAMESPACE, "steps")

    template["kind"] = "ClusterWorkflowTemplate"
    raw(client.cluster.create_cluster_workflow_template, CreateClusterTemplate(template=template, _check_type=False))
    check("a cluster template", raw(client.cluster.get_cluster_workflow_template, "steps")["metadata"]["name"] == "steps")
    raw(client.cluster.delete_cluster_workflow_template, "steps")

    cron = {
        "metadata": {"name": "nightly"},
        "spec": {"schedules": ["0 3 1 1 *"], "timezone": "UTC", "workflowSpec": manifest("true")["spec"]},
    }
    raw(client.crons.create_cron_workflow, NAMESPACE, CreateCron(cron_workflow=cron, _check_type=False))
    held = raw(client.crons.suspend_cron_workflow, NAMESPACE, "nightly", SuspendCron(_check_type=False))
    check("suspend a cron workflow", held["spec"]["suspend"] is True)
    going = raw(client.crons.resume_cron_workflow, NAMESPACE, "nightly", ResumeCron(_check_type=False))
    check("resume it", not going["spec"].get("suspend"))
    raw(client.crons.delete_cron_workflow, NAMESPACE, "nightly")
    check.raises("delete it", NotFoundException, lambda: raw(client.crons.get_cron_workflow, NAMESPACE, "nightly"))


def check_archive(client, check, name, uid):
    listed = raw(client.archive.list_archived_workflows, name_prefix="client-")
    check("the archive lists the run", uid in [item["metadata"]["uid"] for item in listed["items"]], listed)
    check("it shows it", raw(client.archive.get_archived_workflow, uid)["metadata"]["name"] == name)
    again = raw(client.archive.resubmit_archived_workflow, uid, ResubmitArchived(_check_type=False))
    check("it resubmits it", client.until(again["metadata"]["name"], ["Succeeded"])["status"]["phase"] == "Succeeded")
    raw(client.archive.delete_archived_workflow, uid)
    check.raises("it deletes it", NotFoundException, lambda: raw(client.archive.get_archived_workflow, uid))


def check_others(client, check):
    check("version", bool(client.info.get_version().version))
    check("user", client.info.get_user_info().subject == "local")
    check("event bindings", raw(client.events.list_workflow_event_bindings, NAMESPACE)["items"] == [])
    absent = check.raises("sensors are refused", ApiException, lambda: raw(client.sensors.list_sensors, NAMESPACE))
    check("in words", absent is not None and absent.status == 501 and "Argo Events" in json.loads(absent.body)["message"])
    client.create(manifest("sleep 300", name="long"))
    client.until("long", ["Running"])
    raw(client.runs.stop_workflow, NAMESPACE, "long", Stop(_check_type=False))
    check("stop", client.until("long", ["Failed"])["status"]["phase"] == "Failed")
    wrong = check.raises(
        "a workflow without an entrypoint is refused", ApiException,
        lambda: client.create({"metadata": {"name": "x"}, "spec": {"templates": []}}))
    check("with 400", wrong is not None and wrong.status == 400)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--martlet", required=True, help="the program to check")
    arguments = parser.parse_args()
    check = Checks()
    with Server(arguments.martlet) as server:
        client = Client(server.url)
        name, uid = check_runs(client, check)
        check_watch(client, check)
        check_definitions(client, check)
        check_archive(client, check, name, uid)
        check_others(client, check)
    print(f"argo_client_check: {check.failures} failures")
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
