#!/usr/bin/env python3
"""Whether adapters and merged models go between Martlet and PEFT, in both directions, with the same numbers.

    MARTLET_PEFT_CHECK=1 peft_check.py [--martlet PATH] [--only WORD]... [--keep DIR]

Needs torch, transformers and peft; the environment of the training benchmark is used where this Python has them not.
Small models of random weights in fp32 are made first: a Llama, and a Qwen2 whose embedding is its output layer. For
LoRA, rank-stabilized LoRA, DoRA and whole modules (`modules_to_save`):

- Martlet trains an adapter: PEFT loads it with no key missing or left over, and computes the logits that
  `martlet logits` computes from the model that `martlet merge` made of it, which transformers loads, too;
- PEFT saves an adapter of random numbers: `martlet merge` makes the model with PEFT's logits of it, a step of
  `martlet sft` at learning rate 0 has PEFT's loss, and `martlet generate` chooses PEFT's tokens (where adapters can be
  served unmerged); `martlet logits` computes the same from what PEFT itself merged.

A bound is 1e-3 of the largest logit: fp32 sums in another order, over a few layers.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "Benchmarks"), os.path.join(HERE, "..", "Soak")]

import inference_peers
import martlet_command
from soak import VOCABULARY, write_model

SWITCH = "MARTLET_PEFT_CHECK"
TOLERANCE = 1e-3
RANK, ALPHA = 4, 8
# What an adapter must change for a comparison to mean anything, in the same measure.
LEAST_CHANGE = 30 * TOLERANCE
SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "eos_token_id": 259,
         "bos_token_id": 259, "initializer_range": 0.2}
FAMILIES = {
    "llama": {"tie_word_embeddings": False},
    "qwen2": {"tie_word_embeddings": True},
}
VARIANTS = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "modules_to_save": {"modules_to_save": ["embed_tokens", "lm_head"]},
}
# Whole modules of a model with one matrix for both ends are another matter, and DoRA is never served unmerged.
LEFT_OUT = {("qwen2", "modules_to_save")}
SERVED = {"lora", "rslora"}


def find_packages():
    """Starts this program again with a Python that has peft, if this one has not."""
    try:
        import peft
    except ImportError:
        python = inference_peers.transformers().python
        if os.path.exists(python) and os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(
                os.path.dirname(python))):
            os.execv(python, [python, *sys.argv])
        sys.exit(f"peft_check: neither this Python nor {python} has torch, transformers and peft; "
                 "Benchmarks/training.py makes that environment")


class Check:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.failed = self.done = 0
        chance = random.Random(3)
        self.ids = [chance.randrange(VOCABULARY - 4) for _ in range(48)]
        self.rows = self.path("rows.jsonl")
        with open(self.rows, "w", encoding="utf-8") as file:
            file.write(json.dumps({"input_ids": self.ids, "labels": self.ids}) + "\n")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    # What is said

    def say(self, what, is_good, detail=""):
        self.done += 1
        self.failed += not is_good
        print(f"  {'ok' if is_good else 'FAILED'}: {what}{': ' if detail else ''}{detail}", flush=True)

    def same(self, what, found, expected):
        """Compares two tables of logits."""
        import torch

        if found is None or expected is None:
            return self.say(what, False, "nothing to compare")
        if found.shape != expected.shape:
            return self.say(what, False, f"shape {tuple(found.shape)}, not {tuple(expected.shape)}")
        distance = self.distance(found, expected)
        return self.say(what, distance <= TOLERANCE and bool(torch.isfinite(found).all()), f"{distance:.1e}")

    @staticmethod
    def distance(found, expected):
        return ((found - expected).abs().max() / expected.abs().max()).item()

    # Our commands

    def run(self, words):
        """Standard output; None if it failed, which is said."""
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        if done.returncode == 0:
            return done.stdout
        self.say(f"martlet {words[1]}", False, f"status {done.returncode}: {done.stderr.strip()[-300:]}")
        return None

    def logits(self, model):
        import torch

        out = self.run(martlet_command.logits(self.martlet, model, self.ids))
        return None if out is None else torch.tensor(json.loads(out)["logits"])

    def merged(self, model, adapter, name):
        """Our logits of the model that we made of both; (logits, directory)."""
        output = self.path(name)
        if self.run(martlet_command.merge(self.martlet, model, adapter, output)) is None:
            return None, None
        return self.logits(output), output

    def train(self, model, output, steps, **parameters):
        log = f"{output}.jsonl"
        done = self.run(martlet_command.training(
            self.martlet, "sft", model, self.rows, output, max_steps=steps, log_json=log, torch_dtype="float32",
            max_length=128, save_strategy="steps", save_steps=steps, lr_scheduler_type="constant", **parameters))
        if done is None:
            return None, None
        with open(log, encoding="utf-8") as file:
            losses = [json.loads(line)["loss"] for line in file]
        newest = martlet_command.last_checkpoint(output)
        return newest and newest[1], losses

    # Their side

    def make(self, family):
        """A model of random weights with a tokenizer of bytes."""
        import torch
        import transformers

        torch.manual_seed(5)
        kind = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[family]
        model = transformers.AutoModelForCausalLM.from_config(kind(**SHAPE, **FAMILIES[family]))
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.endswith("bias"):
                    weight.normal_(0, 0.2)
        folder = self.path(family)
        os.makedirs(folder)
        write_model(folder, 5)
        model.save_pretrained(folder)
        return folder

    def load(self, folder):
        import torch
        import transformers

        return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def their_logits(self, model):
        import torch

        with torch.no_grad():
            return model(input_ids=torch.tensor([self.ids])).logits[0]

    # The two directions

    def ours_in_theirs(self, family, variant, base):
        import peft

        name = f"{family}-{variant}-ours"
        adapter, losses = self.train(
            base, self.path(name), 6, learning_rate=2e-2, **{
                **martlet_command.lora(RANK, ALPHA), **VARIANTS[variant]})
        if not adapter:
            return self.say("martlet sft leaves an adapter", False)
        self.say("training lowers the loss", losses[-1] < losses[0], f"{losses[0]:.3f} to {losses[-1]:.3f}")
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = peft.PeftModel.from_pretrained(self.load(base), adapter).eval()
        missing = [str(w.message)[:120] for w in told if "missing" in str(w.message).lower()]
        self.say("PEFT misses no key", not missing, "; ".join(missing))
        stored = set(peft.utils.load_peft_weights(adapter, device="cpu"))
        known = set(peft.get_peft_model_state_dict(model))
        self.say("PEFT leaves no key over", stored <= known, ", ".join(sorted(stored - known)[:3]))
        theirs = self.their_logits(model)
        change = self.distance(theirs, self.their_logits(self.load(base)))
        self.say("the adapter changes the logits", change >= LEAST_CHANGE, f"by {change:.2f}")
        ours, folder = self.merged(base, adapter, f"{name}-merged")
        self.same("martlet's merged model has PEFT's logits of the adapter", ours, theirs)
        if folder:
            self.same("transformers has the same of martlet's merged model", self.their_logits(self.load(folder)),
                      theirs)

    def theirs_in_ours(self, family, variant, base):
        import peft
        import torch

        name = f"{family}-{variant}-theirs"
        torch.manual_seed(9)
        model = peft.get_peft_model(self.load(base), peft.LoraConfig(
            r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
            init_lora_weights=False, **VARIANTS[variant])).eval()
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if "modules_to_save" in key or "magnitude" in key:
                    weight.mul_(1 + 0.2 * torch.randn_like(weight))
        adapter = self.path(name)
        model.save_pretrained(adapter)
        theirs = self.their_logits(model)
        self.say("the adapter changes the logits",
                 self.distance(theirs, self.their_logits(self.load(base))) >= LEAST_CHANGE)
        ours, _ = self.merged(base, adapter, f"{name}-merged")
        self.same("martlet merges PEFT's adapter", ours, theirs)
        if variant in SERVED:
            self.generated(model, base, adapter)
        self.loss(model, base, adapter, name)
        whole = self.path(f"{name}-by-peft")
        shutil.copytree(base, whole, ignore=shutil.ignore_patterns("*.safetensors"))
        model.merge_and_unload().save_pretrained(whole)
        self.same("martlet reads what PEFT merged", self.logits(whole), theirs)

    def generated(self, model, base, adapter):
        """Each token that we choose greedily must be their best one, but for a tie."""
        import torch

        prompt, count = self.ids[:8], 24
        words = [self.martlet, "generate", base, *martlet_command.options({
            "ids": ",".join(map(str, prompt)), "adapter": adapter, "max_new_tokens": count, "temperature": 0,
            "output": "json"}), "--ignore_eos"]
        out = self.run(words)
        if out is None:
            return
        ids = json.loads(out)["ids"]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1]
        chosen = logits.gather(1, torch.tensor(ids).unsqueeze(1)).squeeze(1)
        short = ((logits.max(1).values - chosen).max() / logits.abs().max()).item()
        self.say("martlet generates PEFT's tokens", len(ids) == count and short <= TOLERANCE, f"{short:.1e}")

    def loss(self, model, base, adapter, name):
        """A step at learning rate 0 tells the loss of the adapter as it is."""
        import torch

        _, losses = self.train(
            base, self.path(f"{name}-step"), 1, learning_rate=0, tuner_type="lora", lora_dropout=0, adapters=adapter)
        if losses is None:
            return
        ids = torch.tensor([self.ids])
        with torch.no_grad():
            expected = model(input_ids=ids, labels=ids).loss.item()
        self.say("martlet's loss of PEFT's adapter is PEFT's", abs(losses[0] / expected - 1) <= TOLERANCE,
                 f"{losses[0]:.6f} and {expected:.6f}")

    def all(self):
        for family in FAMILIES:
            base = self.make(family)
            print(f"{family}: the model itself", flush=True)
            self.same("martlet computes transformers' logits", self.logits(base), self.their_logits(self.load(base)))
            for variant in VARIANTS:
                if (family, variant) in LEFT_OUT:
                    continue
                for direction, check in (("martlet's", self.ours_in_theirs), ("PEFT's", self.theirs_in_ours)):
                    title = f"{family}, {variant}, {direction} adapter"
                    if all(word in title for word in self.options.only):
                        print(title, flush=True)
                        check(family, variant, base)


def main():
    if os.environ.get(SWITCH) != "1":
        print(f"peft_check: skipped; {SWITCH}=1 runs it, and it needs torch, transformers and peft")
        return 0
    find_packages()
    parser = argparse.ArgumentParser(description="Compares adapters and merged models with PEFT's.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="of a title: dora, PEFT's …")
    parser.add_argument("--keep", metavar="DIR", help="work in this new folder and leave it")
    options = parser.parse_args()
    import torch
    import transformers

    torch.set_num_threads(min(2, len(os.sched_getaffinity(0))))
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)
    folder = options.keep or tempfile.mkdtemp(prefix="martlet-peft-")
    os.makedirs(folder, exist_ok=True)
    try:
        check = Check(options, folder)
        check.all()
        print(f"{check.failed} of {check.done} comparisons failed" if check.failed else f"all {check.done} agree")
        return 1 if check.failed or not check.done else 0
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
