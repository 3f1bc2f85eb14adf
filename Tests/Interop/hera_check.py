"""Hera (PyPI) against `martlet server`: a DAG built in Python, and all that Hera's service can be asked.

Needs hera. Nothing leaves the loopback interface.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("HERA_TELEMETRY", "0")

from hera.exceptions import AlreadyExists, BadRequest, NotFound  # noqa: E402
from hera.workflows import (  # noqa: E402
    DAG, Artifact, ClusterWorkflowTemplate, Container, CronWorkflow, Parameter, RetryStrategy, Script, Steps, Suspend,
    Task, Workflow, WorkflowsService, WorkflowTemplate, models as m,
)
from hera.workflows.models import (  # noqa: E402
    CronWorkflowResumeRequest, CronWorkflowSuspendRequest, WorkflowResubmitRequest, WorkflowResumeRequest,
    WorkflowRetryRequest, WorkflowStopRequest, WorkflowSubmitRequest, WorkflowSuspendRequest,
)

from server import Checks, Server  # noqa: E402

NAMESPACE = "default"


def pipeline(service):
    """Inputs, artifacts, a loop and a step that succeeds at its second attempt."""
    with Workflow(
        generate_name="hera-", entrypoint="main", namespace=NAMESPACE, workflows_service=service,
        arguments=[Parameter(name="greeting", value="hello")], labels={"made-by": "hera"},
    ) as workflow:
        make = Script(
            name="make", image="python", command=["python3"], inputs=[Parameter(name="text")],
            source="open('/tmp/out.txt', 'w').write('{{inputs.parameters.text}} world')\n"
                   "open('/tmp/count', 'w').write('3')\nprint('made it')",
            outputs=[Artifact(name="text", path="/tmp/out.txt"),
                     Parameter(name="count", value_from=m.ValueFrom(path="/tmp/count"))])
        show = Container(
            name="show", image="busybox", command=["sh", "-c"], args=["cat /in.txt; echo; echo item {{inputs.parameters.item}}"],
            inputs=[Artifact(name="text", path="/in.txt"), Parameter(name="item")])
        flaky = Container(
            name="flaky", image="busybox", command=["sh", "-c"], args=["exit $((1 - {{retries}}))"],
            retry_strategy=RetryStrategy(limit=2))
        with DAG(name="main"):
            first = Task(name="first", template=make, arguments={"text": "{{workflow.parameters.greeting}}"})
            second = Task(
                name="second", template=show, with_items=["a", "b", "c"],
                arguments=[first.get_artifact("text"), Parameter(name="item", value="{{item}}")])
            third = Task(name="third", template=flaky)
            first >> second
            first >> third
    return workflow


def small(service, name, command, **settings):
    with Workflow(name=name, entrypoint="main", namespace=NAMESPACE, workflows_service=service, **settings) as workflow:
        Container(name="main", image="busybox", command=["sh", "-c"], args=[command])
    return workflow


def until(service, name, phases, seconds=60):
    """Asks for the run until it has one of the phases."""
    end = time.monotonic() + seconds
    while True:
        found = service.get_workflow(name, namespace=NAMESPACE)
        if found.status and found.status.phase in phases or time.monotonic() > end:
            return found
        time.sleep(0.1)


def check_runs(service, check):
    workflow = pipeline(service)
    check("lint answers the workflow", workflow.lint() is not None)
    created = workflow.create(wait=True, poll_interval=1)
    check("create with wait ends with the run", created.status.phase == "Succeeded", created.status.phase)
    name = created.metadata.name
    nodes = {node.display_name: node for node in created.status.nodes.values()}
    check("its nodes are Argo's", {"first", "second(0:a)", "second(2:c)", "third", "third(1)"} <= set(nodes), sorted(nodes))
    check("outputs are there", nodes["first"].outputs.parameters[0].value == "3")
    check("the retry failed once", nodes["third(0)"].phase == "Failed" and nodes["third(1)"].phase == "Succeeded")
    body = service.get_output_artifact(name, nodes["first"].id, "text", namespace=NAMESPACE)
    check("an artifact's bytes by name", "hello world" in body, body)
    body = service.get_output_artifact_by_uid(created.metadata.uid, nodes["first"].id, "text")
    check("an artifact's bytes by uid", "hello world" in body, body)
    body = service.get_input_artifact(name, nodes["second(0:a)"].id, "text", namespace=NAMESPACE)
    check("an input artifact's bytes", "hello world" in body, body)
    body = service.get_artifact_file("workflows", name, nodes["first"].id, "text", "outputs", namespace=NAMESPACE)
    check("an artifact's file", "hello world" in body, body)

    log = service.workflow_logs(name, namespace=NAMESPACE, grep="made")
    check("a log of one line", log.content == "made it", log)
    log = service.workflow_logs(name, namespace=NAMESPACE, container="main")
    check("a log of many lines", "made it" in log.content and "item b" in log.content, log)
    log = service.pod_logs(name, log.pod_name or nodes["first"].id, namespace=NAMESPACE, container="main")
    check("a pod's log", log.content == "made it", log)

    listed = service.list_workflows(namespace=NAMESPACE, label_selector="made-by=hera")
    check("list by label", [run.metadata.name for run in listed.items] == [name])
    listed = service.list_workflows(namespace=NAMESPACE, label_selector="workflows.argoproj.io/phase=Failed")
    check("list by phase", not listed.items)
    listed = service.list_workflows(namespace=NAMESPACE, name_filter="Prefix", field_selector="metadata.name=hera-")
    check("list by the name's beginning", [run.metadata.name for run in listed.items] == [name])
    latest = service.get_workflow("@latest", namespace=NAMESPACE)
    check("the latest run", latest.metadata.name == name)
    again = service.resubmit_workflow(name, WorkflowResubmitRequest(parameters=["greeting=bye"]), namespace=NAMESPACE)
    check("resubmit", again.metadata.name != name and until(service, again.metadata.name, ["Succeeded"]).status.phase == "Succeeded")
    return name, created.metadata.uid


def check_verbs(service, check):
    with Workflow(name="gate", entrypoint="main", namespace=NAMESPACE, workflows_service=service) as workflow:
        gate = Suspend(name="gate")
        with Steps(name="main") as steps:
            gate(name="wait")
    workflow.create()
    until(service, "gate", ["Running"])
    service.resume_workflow("gate", WorkflowResumeRequest(), namespace=NAMESPACE)
    check("resume ends a suspended step", until(service, "gate", ["Succeeded"]).status.phase == "Succeeded")

    small(service, "long", "sleep 300").create()
    until(service, "long", ["Running"])
    held = service.suspend_workflow("long", WorkflowSuspendRequest(), namespace=NAMESPACE)
    check("suspend", held.spec.suspend is True)
    service.stop_workflow("long", WorkflowStopRequest(message="enough"), namespace=NAMESPACE)
    check("stop", until(service, "long", ["Failed"]).status.phase == "Failed")
    retried = service.retry_workflow("long", WorkflowRetryRequest(), namespace=NAMESPACE)
    check("retry", retried.status.phase in ("Running", "Pending"), retried.status.phase)
    service.terminate_workflow("long", m.WorkflowTerminateRequest(), namespace=NAMESPACE)
    check("terminate", until(service, "long", ["Failed"]).status.phase == "Failed")
    service.delete_workflow("long", namespace=NAMESPACE)
    check.raises("a deleted run is not found", NotFound, lambda: service.get_workflow("long", namespace=NAMESPACE))


def check_errors(service, check):
    check.raises("an unknown run is NotFound", NotFound, lambda: service.get_workflow("nothing", namespace=NAMESPACE))
    small(service, "taken", "true").create()
    check.raises("a taken name is AlreadyExists", AlreadyExists, small(service, "taken", "true").create)
    broken = Workflow(name="broken", entrypoint="nothing", namespace=NAMESPACE, workflows_service=service)
    check.raises("a broken workflow is BadRequest", BadRequest, broken.create)
    error = check.raises("lint of it, too", BadRequest, broken.lint)
    check("the error says what is wrong", error is not None and "entrypoint" in str(error), error)


def check_templates(service, check):
    with WorkflowTemplate(name="greet", entrypoint="main", namespace=NAMESPACE, workflows_service=service,
                          arguments=[Parameter(name="who", value="you")]) as template:
        Container(name="main", image="busybox", command=["echo"], args=["{{workflow.parameters.who}}"])
    check("lint of a template", template.lint() is not None)
    made = template.create()
    check("create a template", made.metadata.name == "greet" and made.metadata.resource_version)
    template.labels = {"stage": "two"}
    check("update it", template.update().metadata.labels["stage"] == "two")
    check("get it", service.get_workflow_template("greet", namespace=NAMESPACE).spec.entrypoint == "main")
    listed = service.list_workflow_templates(namespace=NAMESPACE, name_pattern="gre")
    check("list templates", [item.metadata.name for item in listed.items] == ["greet"])
    run = service.submit_workflow(
        WorkflowSubmitRequest(
            resource_kind="WorkflowTemplate", resource_name="greet",
            submit_options=m.SubmitOpts(parameters=["who=me"], labels="from=template")), namespace=NAMESPACE)
    check("submit from it", until(service, run.metadata.name, ["Succeeded"]).status.phase == "Succeeded")
    check("with its parameter", service.workflow_logs(run.metadata.name, namespace=NAMESPACE).content == "me")
    service.delete_workflow_template("greet", namespace=NAMESPACE)
    check.raises("delete it", NotFound, lambda: service.get_workflow_template("greet", namespace=NAMESPACE))

    with ClusterWorkflowTemplate(name="shared", entrypoint="main", workflows_service=service) as template:
        Container(name="main", image="busybox", command=["true"])
    check("lint of a cluster template", template.lint() is not None)
    check("create a cluster template", template.create().metadata.name == "shared")
    check("list cluster templates", len(service.list_cluster_workflow_templates().items) == 1)
    service.delete_cluster_workflow_template("shared")
    check("delete it", not service.list_cluster_workflow_templates().items)


def check_crons(service, check):
    with CronWorkflow(
        name="nightly", entrypoint="main", schedules=["0 3 1 1 *"], timezone="UTC", namespace=NAMESPACE,
        workflows_service=service,
    ) as cron:
        Container(name="main", image="busybox", command=["true"])
    check("lint of a cron workflow", cron.lint() is not None)
    check("create a cron workflow", cron.create().metadata.name == "nightly")
    held = service.suspend_cron_workflow("nightly", CronWorkflowSuspendRequest(), namespace=NAMESPACE)
    check("suspend it", held.spec.suspend is True)
    going = service.resume_cron_workflow("nightly", CronWorkflowResumeRequest(), namespace=NAMESPACE)
    check("resume it", not going.spec.suspend)
    check("list cron workflows", len(service.list_cron_workflows(namespace=NAMESPACE).items) == 1)
    service.delete_cron_workflow("nightly", namespace=NAMESPACE)
    check.raises("delete it", NotFound, lambda: service.get_cron_workflow("nightly", namespace=NAMESPACE))


def check_others(service, check, name, uid):
    check("version", bool(service.get_version().version))
    check("info", service.get_info() is not None)
    check("user", service.get_user_info().subject == "local")
    check("the archive has the run", uid in [run.metadata.uid for run in service.list_archived_workflows().items])
    check("get from the archive", service.get_archived_workflow(uid).metadata.name == name)
    check("label keys", "made-by" in service.list_archived_workflow_label_keys().items)
    values = service.list_archived_workflow_label_values(label_selector="made-by")
    check("label values", values.items == ["hera"], values)
    limit = m.CreateSyncLimitRequest(key="gpu", limit=2, type=m.SyncConfigType.database)
    service.create_sync_limit(limit, namespace=NAMESPACE)
    check.raises("a limit twice", AlreadyExists, lambda: service.create_sync_limit(limit, namespace=NAMESPACE))
    service.delete_sync_limit("gpu", namespace=NAMESPACE, type_="DATABASE")
    check.raises("a deleted limit", NotFound, lambda: service.get_sync_limit("gpu", namespace=NAMESPACE, type_="DATABASE"))
    service.delete_archived_workflow(uid)
    check.raises("delete from the archive", NotFound, lambda: service.get_archived_workflow(uid))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--martlet", required=True, help="the program to check")
    arguments = parser.parse_args()
    check = Checks()
    with Server(arguments.martlet) as server:
        service = WorkflowsService(host=server.url, namespace=NAMESPACE)
        name, uid = check_runs(service, check)
        check_verbs(service, check)
        check_errors(service, check)
        check_templates(service, check)
        check_crons(service, check)
        check_others(service, check, name, uid)
    print(f"hera_check: {check.failures} failures")
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
