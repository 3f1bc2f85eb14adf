#!/usr/bin/env python3
"""The quickstart's first stages built with Hera: from a hub's data set to a tuned and evaluated model.

    python hera_pipeline.py http://127.0.0.1:2746 --hub http://127.0.0.1:9000

Needs hera (PyPI), a `martlet server`, and a hub that has the data set (`martlet hub serve DIR`). `MartletStep` is all
that Hera lacks: a template whose work is one of Martlet's own steps, written as `plugin: {martlet: {KIND: {...}}}`.
"""

import argparse
import os
import sys
import warnings
from dataclasses import dataclass, field

os.environ.setdefault("HERA_TELEMETRY", "0")

from hera.workflows import DAG, Artifact, Container, RetryStrategy, Task, Workflow, WorkflowsService  # noqa: E402

# Hera's model of `plugin` has no members, so what is put there is no instance of it; it is sent all the same.
warnings.filterwarnings("ignore", message="Pydantic serializer warnings")

TRAINING = {
    "num_train_epochs": 1, "packing": True, "max_length": 256, "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1, "learning_rate": 1.5e-3, "gradient_checkpointing": False, "seed": 1,
}


@dataclass(kw_only=True)
class MartletStep(Container):
    """One of Martlet's own steps: its kind, its parameters, and the names of the artifacts that it takes.

    Outputs need no declaration; `given` hands one of them on.
    """

    kind: str = ""
    parameters: dict = field(default_factory=dict)
    takes: tuple = ()

    def __post_init__(self):
        self.inputs = [Artifact(name=name) for name in self.takes]
        super().__post_init__()

    def _build_template(self):
        template = super()._build_template()
        template.container = None
        template.plugin = {"martlet": {self.kind: self.parameters}}
        return template


def given(task, name, part=None):
    """An artifact that a task's step gives, or a file of it, as the argument of the same name of another task."""
    return Artifact(name=name, from_=f"{{{{tasks.{task.name}.outputs.artifacts.{name}}}}}", sub_path=part)


def named(artifact, name):
    """The same under the name that the other step has for it."""
    artifact.name = name
    return artifact


def pipeline(service, hub, namespace="default", beta=0.1):
    """Data, a tokenizer, a small model from nothing, SFT, DPO, and the share of right answers after both."""
    with Workflow(
        generate_name="hera-quickstart-", entrypoint="main", namespace=namespace, workflows_service=service,
        parallelism=1,
    ) as workflow:
        again = RetryStrategy(limit=3)
        cached = {"martlet.dev/cache": "true"}
        download = MartletStep(
            name="download", kind="download", retry_strategy=again,
            parameters={"dataset": "martlet/calendar-notes", "endpoint": hub})
        tokenizer = MartletStep(
            name="tokenizer", kind="tokenizer", takes=("dataset",), parameters={"vocab_size": 640}, annotations=cached)
        pretrain = MartletStep(
            name="pretrain", kind="pretrain", takes=("init_config", "tokenizer", "dataset"), parameters=TRAINING,
            retry_strategy=again, annotations=cached)
        sft = MartletStep(
            name="sft", kind="sft", takes=("model", "dataset"), parameters={**TRAINING, "tuner_type": "full"},
            retry_strategy=again, annotations=cached)
        dpo = MartletStep(
            name="dpo", kind="dpo", takes=("model", "dataset"), retry_strategy=again, annotations=cached,
            parameters={**TRAINING, "packing": False, "tuner_type": "full", "learning_rate": 2e-4,
                        "per_device_train_batch_size": 8, "beta": beta, "rpo_alpha": 1})
        evaluate = MartletStep(
            name="evaluate", kind="evaluate", takes=("model", "dataset"), annotations=cached,
            parameters={"eval_dataset": "general_qa", "max_new_tokens": 64})
        with DAG(name="main"):
            data = Task(name="data", template=download)
            documents = given(data, "dataset", "documents.jsonl")
            words = Task(name="tokenizer", template=tokenizer, arguments=[documents])
            base = Task(
                name="pretrain", template=pretrain,
                arguments=[named(given(data, "dataset", "model.json"), "init_config"),
                           given(words, "tokenizer"), documents])
            tuned = Task(
                name="sft", template=sft, arguments=[given(base, "model"), given(data, "dataset", "answers.jsonl")])
            aligned = Task(
                name="dpo", template=dpo, arguments=[given(tuned, "model"), given(data, "dataset", "preferences.jsonl")])
            data >> words >> base >> tuned >> aligned
            for stage in (tuned, aligned):
                stage >> Task(
                    name=f"evaluate-{stage.name}", template=evaluate,
                    arguments=[given(stage, "model"), given(data, "dataset", "questions.jsonl")])
    return workflow


def values(run):
    """Output parameters by the name of the node."""
    return {
        node.display_name: {p.name: str(p.value) for p in node.outputs.parameters or []}
        for node in run.status.nodes.values() if node.outputs
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="address of a martlet server")
    parser.add_argument("--hub", required=True, help="address of the hub that has martlet/calendar-notes")
    parser.add_argument("--token", help="a token, where the server asks for one")
    parser.add_argument("--print", action="store_true", dest="prints", help="print the manifest and submit nothing")
    options = parser.parse_args()
    service = WorkflowsService(host=options.server, token=options.token, namespace="default")
    workflow = pipeline(service, options.hub)
    if options.prints:
        print(workflow.to_yaml())
        return 0
    run = workflow.create(wait=True, poll_interval=1)
    print(f"{run.metadata.name}: {run.status.phase}")
    for name, found in values(run).items():
        print(f"  {name:14}", ", ".join(f"{key} {value}" for key, value in sorted(found.items()) if value)[:150])
    return 0 if run.status.phase == "Succeeded" else 1


if __name__ == "__main__":
    sys.exit(main())
