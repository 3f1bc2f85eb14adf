"""Hera (PyPI) submits a pipeline of Martlet's own steps as `plugin.martlet`, and the cache knows them again.

    hera_pipeline_check.py --martlet PATH

workflows/quickstart/hera_pipeline.py builds it; data and rows are few, so that nothing is learned but everything runs:
data from a hub of ours, tokenizer, pretrain, SFT, DPO, two evaluations. The same pipeline again runs no step of them,
another beta runs DPO and what follows only, and `martlet why` names the field. Nothing leaves the loopback interface.
"""

import argparse
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
QUICKSTART = os.path.join(HERE, "..", "..", "workflows", "quickstart")
sys.path[:0] = [HERE, QUICKSTART]
os.environ["HERA_TELEMETRY"] = "0"

import demo  # noqa: E402
import hera_pipeline  # noqa: E402
from hera.exceptions import BadRequest  # noqa: E402
from hera.workflows import DAG, Task, Workflow, WorkflowsService  # noqa: E402
from server import Checks, Server  # noqa: E402
from tuned_model import ask, finish, until  # noqa: E402

TRAINED = ["tokenizer", "pretrain", "sft", "dpo", "evaluate-sft", "evaluate-dpo"]


def own(run):
    """Whether each step ran itself, by its name."""
    return {
        node["displayName"]: not node["memoHit"] for node in run["nodes"]
        if node["displayName"] in TRAINED and node["phase"] == "Succeeded"}


def submit(check, server, service, hub, what, **settings):
    workflow = hera_pipeline.pipeline(service, hub, **settings)
    created = workflow.create()
    run = finish(server, created.metadata.uid)
    check(f"{what}: succeeds", run["phase"] == "Succeeded",
          str([(node["displayName"], node["message"]) for node in run["nodes"] if node["phase"] == "Failed"]))
    return run


def first(check, server, service, hub):
    check("lint takes it", hera_pipeline.pipeline(service, hub).lint() is not None)
    with Workflow(generate_name="typo-", entrypoint="main", namespace="default", workflows_service=service) as typo:
        step = hera_pipeline.MartletStep(name="tune", kind="sft", takes=("model", "dataset"), parameters={"lora_rnak": 8})
        with DAG(name="main"):
            Task(name="tune", template=step)
    error = check.raises("a parameter that is none is refused", BadRequest, typo.create)
    check("with the one that was meant", error is not None and "lora_rank" in str(error), str(error))

    # By Hera alone: it waits for the end and reads what came out.
    run = hera_pipeline.pipeline(service, hub).create(wait=True, poll_interval=1)
    check("create with wait ends with the run", run.status.phase == "Succeeded", run.status.message)
    found = hera_pipeline.values(run)
    for name in ("evaluate-sft", "evaluate-dpo"):
        check(f"{name} gives figures", 0 <= float(found.get(name, {}).get("exact_match", -1)) <= 1, str(found.get(name)))
    check("training gives figures", float(found["sft"]["train_loss"]) > 0, str(found.get("sft")))
    family = until(
        lambda: ask(server, "GET", "/models")["items"], lambda items: len(items) >= 3)
    names = {item["name"] for item in family}
    check("the models are recorded", {f"hera-quickstart-{kind}" for kind in ("pretrain", "sft", "dpo")} <= names, str(names))
    detail = ask(server, "GET", "/models/default/hera-quickstart-dpo")
    check("with the family", [item["step"] for item in detail["family"]] == ["pretrain", "sft", "dpo"])
    check("and its evaluations", [item["model"] for item in detail["evaluations"]]
          == ["hera-quickstart-sft:v1", "hera-quickstart-dpo:v1"], str(detail["evaluations"]))


def again(check, server, service, hub, martlet):
    run = submit(check, server, service, hub, "the same again")
    check("none of its steps runs", own(run) == {name: False for name in TRAINED}, str(own(run)))
    run = submit(check, server, service, hub, "another beta", beta=0.2)
    wanted = {name: name in ("dpo", "evaluate-dpo") for name in TRAINED}
    check("DPO and what follows run, and nothing else", own(run) == wanted, str(own(run)))
    for place in (["--server", server.url], ["--data-dir", server.folder + "/data"]):
        done = subprocess.run(
            [martlet, "why", "dpo", run["name"], *place], capture_output=True, text=True, timeout=60, check=False)
        lines = [line.split() for line in done.stdout.splitlines()]
        check(f"martlet why {place[0]} names the field",
              done.returncode == 0 and len(lines) == 3 and lines[2][0].endswith("beta") and lines[2][1:] == ["0.1", "0.2"],
              done.stdout + done.stderr)
        done = subprocess.run(
            [martlet, "why", "dpoo", run["name"], *place], capture_output=True, text=True, timeout=60, check=False)
        check("and says what a wrong name may mean", done.returncode == 2 and 'did you mean "dpo"' in done.stderr, done.stderr)
    versions = ask(server, "GET", "/models?name=hera-quickstart-sft")["items"]
    check("what was taken over is no new version", len(versions) == 1, str([item["version"] for item in versions]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--martlet", default=os.path.join(HERE, "..", "..", ".build", "debug", "martlet"))
    martlet = os.path.abspath(parser.parse_args().martlet)
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="martlet-hera-pipeline-") as folder:
        subprocess.run(
            [sys.executable, os.path.join(QUICKSTART, "calendar_notes.py"), os.path.join(folder, "hub", demo.DATA_SET),
             *demo.SHORT], check=True)
        hub = demo.Program(folder, "hub", [martlet, "hub", "serve", os.path.join(folder, "hub")])
        try:
            with Server(martlet) as server:
                service = WorkflowsService(host=server.url, namespace="default")
                first(check, server, service, hub.url)
                again(check, server, service, hub.url, martlet)
        finally:
            hub.stop()
    print(f"hera_pipeline_check: {check.failures} failures")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
