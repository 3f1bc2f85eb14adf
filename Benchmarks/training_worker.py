"""PyTorch as a training run of its own, beside which martlet is measured.

    training_worker.py JOB

JOB is a JSON object: model (a directory), rows (JSONL of ids), kind (full, lora or dpo), precision (fp32 or bf16),
batch, steps, threads, learning_rate, log. Each step appends {"step", "loss"} to the log when it is done, as martlet's
`--log_json` does. SFT is a plain loop, forward, backward, clip, AdamW, so that no trainer's costs are in it; DPO is
TRL's trainer. In bf16 the weights are loaded so; adapters stay in fp32, as PEFT has them, and are multiplied in bf16 by
autocast, as transformers' trainer does with `bf16`.
"""

import contextlib
import json
import sys

import torch
import transformers


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def load(job):
    kind = torch.bfloat16 if job["precision"] == "bf16" else torch.float32
    model = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=kind)
    model.config.use_cache = False
    return model


def lora():
    import peft

    return peft.LoraConfig(
        r=8, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def sft(job, log):
    model = load(job)
    precision = contextlib.nullcontext()
    if job["kind"] == "lora":
        import peft

        model = peft.get_peft_model(model, lora())
        if job["precision"] == "bf16":
            precision = torch.autocast("cpu", torch.bfloat16)
    model.train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=job["learning_rate"], betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    rows = read_rows(job["rows"])
    log.begin()
    for step in range(job["steps"]):
        part = rows[step * job["batch"]:(step + 1) * job["batch"]]
        ids, labels = (torch.tensor([row[key] for row in part]) for key in ("input_ids", "labels"))
        with precision:
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        log.write(step + 1, loss.item())


def dpo(job, log):
    import datasets
    import trl

    class IdsTrainer(trl.DPOTrainer):
        """Takes rows that are ids already."""

        def _prepare_dataset(self, dataset, *others):
            return dataset

    class Report(transformers.TrainerCallback):
        def on_log(self, arguments, state, control, logs=None, **others):
            if logs and "loss" in logs:
                log.write(state.global_step, float(logs["loss"]))

        def on_step_begin(self, arguments, state, control, **others):
            log.begin()

    with contextlib.redirect_stdout(sys.stderr):
        trainer = IdsTrainer(
            model=load(job), train_dataset=datasets.Dataset.from_list(read_rows(job["rows"])), peft_config=lora(),
            processing_class=transformers.AutoTokenizer.from_pretrained(job["model"]), callbacks=[Report()],
            args=trl.DPOConfig(
                output_dir=job["output_dir"], use_cpu=True, bf16=job["precision"] == "bf16", fp16=False,
                per_device_train_batch_size=job["batch"], gradient_accumulation_steps=1, max_steps=job["steps"],
                learning_rate=job["learning_rate"], lr_scheduler_type="constant", optim="adamw_torch_fused",
                adam_beta2=0.95, weight_decay=0.1, max_grad_norm=1.0, gradient_checkpointing=False, beta=0.1,
                precompute_ref_log_probs=False, max_length=None, logging_steps=1, save_strategy="no",
                report_to="none", disable_tqdm=True, dataloader_num_workers=0, dataloader_pin_memory=False))
        trainer.train()


class Log:
    """Opened when the first step begins, which tells the watcher so; a line a step."""

    def __init__(self, path):
        self.path, self.file = path, None

    def begin(self):
        if self.file is None:
            self.file = open(self.path, "w", encoding="utf-8")

    def write(self, step, loss):
        self.file.write(json.dumps({"step": step, "loss": loss}) + "\n")
        self.file.flush()


def main():
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    (dpo if job["kind"] == "dpo" else sft)(job, Log(job["log"]))


if __name__ == "__main__":
    main()
