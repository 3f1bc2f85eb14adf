"""The command lines of martlet's training verbs, all in this one place, and where a run leaves what it made."""

import json
import os
import re

CHECKPOINT = re.compile(r"checkpoint-(\d+)")
LOG_NAME = "logging.jsonl"


def words(martlet, verb, **parameters):
    """A command line. None is left out; True and False are written out, since some are true unless told; a list is
    an option given several times.
    """
    return [martlet, verb, *options(parameters)]


def options(parameters):
    found = []
    for name, value in parameters.items():
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if each is not None:
                found += [f"--{name}", str(each).lower() if isinstance(each, bool) else str(each)]
    return found


def training(martlet, verb, model, dataset, output_dir, **parameters):
    """`pretrain`, `sft` or `rlhf` without what is convenient by default: a row is a row, in the file's order, no
    evaluation and no checkpoint on the way, a line of the log a step. `parameters` count over these.
    """
    plain = {
        "dataset_shuffle": False, "packing": False, "gradient_accumulation_steps": 1, "gradient_checkpointing": False,
        "eval_strategy": "no", "save_strategy": "no", "logging_steps": 1, "warmup_ratio": 0}
    return words(martlet, verb, model=model, dataset=dataset, output_dir=output_dir, **{**plain, **parameters})


def lora(rank=8, alpha=32, dropout=0, targets="all-linear"):
    """The parameters of LoRA on all linear layers but the output layer."""
    return {"tuner_type": "lora", "lora_rank": rank, "lora_alpha": alpha, "lora_dropout": dropout,
            "target_modules": targets}


def merge(martlet, model, adapter, output_dir):
    return words(martlet, "merge", model=model, adapters=adapter, output_dir=output_dir)


def tokenizer(martlet, dataset, vocab_size, output_dir, special_tokens):
    return words(martlet, "tokenizer", dataset=dataset, vocab_size=vocab_size, output_dir=output_dir,
                 special_tokens=special_tokens)


def generate(martlet, model, file, **parameters):
    """Answers to the prompts of a file, a JSON object a line."""
    return [martlet, "generate", model, *options({"file": file, "output": "json", **parameters})]


def logits(martlet, model, ids):
    return [martlet, "logits", model, *options({"ids": ",".join(map(str, ids))})]


def checkpoints(output_dir):
    """Directories of checkpoints by step, oldest first."""
    found = {}
    for name in os.listdir(output_dir) if os.path.isdir(output_dir) else []:
        match = CHECKPOINT.fullmatch(name)
        if match:
            found[int(match[1])] = os.path.join(output_dir, name)
    return dict(sorted(found.items()))


def last_checkpoint(output_dir):
    """(step, directory) of the newest checkpoint; None before the first."""
    found = checkpoints(output_dir)
    return list(found.items())[-1] if found else None


def log_lines(output_dir):
    """What the run has written to its log; a line that is being written is left out."""
    try:
        with open(os.path.join(output_dir, LOG_NAME), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n") and line.strip()]
