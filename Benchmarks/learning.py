#!/usr/bin/env python3
"""Whether Martlet's training verbs teach a model anything: from a random start to a tuned model, in some ten minutes.

    learning.py [--martlet PATH] [--threads N] [--seed N] [--short] [--keep DIR]

All data is drawn from a seed (learning_text.py). Only martlet's commands are run, one after another:

- `tokenizer` and `pretrain` on a megabyte of documents: the perplexity of documents that are held out, as a curve;
- `sft` on questions for a date in figures, whose answers end in one of two ways, by chance: the share of held-out
  questions that are answered right, before and after, by greedy `generate`;
- `rlhf --rlhf_type dpo` with pairs that differ in their ending: the share of polite endings when answers are drawn at
  temperature 1, before and after, and whether the dates are still right.

The exit status is 1 if a figure falls short of its target; with --short the steps are too few to learn anything.
"""

import argparse
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import learning_text
import martlet_command
from learning_text import CURT, POLITE, message
from measure import Verdicts, machine, martlet_version, run

VOCABULARY = 960
END, START = "<|im_end|>", "<|im_start|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
# 1.8 million parameters.
CONFIGURATION = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "float32", "vocab_size": VOCABULARY,
    "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "hidden_act": "silu", "attention_dropout": 0.0, "initializer_range": 0.02, "tie_word_embeddings": True,
    "use_cache": True, "use_sliding_window": False, "bos_token_id": 0, "eos_token_id": 0}
TRAINED_BYTES, HELD_OUT_BYTES = 1_200_000, 60_000
CONTEXT = 256
PATIENCE_SECONDS = 1800
PERPLEXITY_TARGET = 5.0
SIZES = {
    # Steps of pretraining, questions that are trained and asked, pairs.
    False: {"steps": 500, "trained": 14_000, "asked": 300, "pairs": 480},
    True: {"steps": 16, "trained": 160, "asked": 12, "pairs": 32},
}


class Lesson:
    """The commands in their order, and what they leave in a folder."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.martlet = os.path.abspath(options.martlet) if os.sep in options.martlet else options.martlet
        self.sizes = SIZES[options.short]
        self.verdicts = Verdicts()
        self.questions = learning_text.Questions(
            self.chance("questions"), self.sizes["trained"], self.sizes["asked"])

    def chance(self, what):
        return random.Random(f"{self.options.seed} {what}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, words):
        """A command that must succeed; its standard output."""
        return run(words, limit=PATIENCE_SECONDS).out

    def train(self, verb, model, dataset, output, **parameters):
        """A run that saves once, at its end; the directory of what it made, and how long it took."""
        began = time.monotonic()
        output = self.path(output)
        self.run(martlet_command.training(
            self.martlet, verb, model, self.path(dataset), output, **{
                "threads": self.options.threads, "seed": self.options.seed, "data_seed": self.options.seed,
                "torch_dtype": "float32", "dataset_shuffle": True, "lr_scheduler_type": "cosine",
                "warmup_ratio": 0.05, "save_strategy": "epoch", "weight_decay": 0.1, **parameters}))
        made = martlet_command.last_checkpoint(output)
        if not made:
            sys.exit(f"{verb} left no checkpoint in {output}")
        return made[1], time.monotonic() - began

    # The three parts

    def pretrain(self):
        """Returns the directory of the model."""
        size, count = learning_text.write_documents(
            self.path("train.jsonl"), self.chance("train"), TRAINED_BYTES)
        learning_text.write_documents(self.path("held-out.jsonl"), self.chance("held out"), HELD_OUT_BYTES)
        self.run(martlet_command.tokenizer(
            self.martlet, self.path("train.jsonl"), VOCABULARY, self.path("tokenizer"), [END, START]))
        self.complete_tokenizer()
        self.write("config.json", CONFIGURATION)
        steps = self.sizes["steps"]
        model, seconds = self.train(
            "pretrain", None, "train.jsonl", "pretrained", init_config=self.path("config.json"),
            tokenizer=self.path("tokenizer"), val_dataset=self.path("held-out.jsonl"), tuner_type="full",
            packing=True, packing_length=CONTEXT, max_length=CONTEXT, truncation_strategy="split",
            per_device_train_batch_size=8, per_device_eval_batch_size=8, max_steps=steps, learning_rate=3e-3,
            eval_strategy="steps", eval_steps=max(1, steps // 10), save_strategy="steps", save_steps=steps)
        print(f"\npretraining on {size:,} bytes in {count:,} documents, {steps} steps, {seconds:.0f} s")
        curve = [(line.get("global_step/max_steps", "?").split("/")[0], math.exp(line["eval_loss"]))
                 for line in martlet_command.log_lines(self.path("pretrained")) if "eval_loss" in line]
        if not curve:
            sys.exit(f"pretrain wrote no eval_loss to {self.path('pretrained')}")
        print("  held-out perplexity by step: " + ", ".join(f"{step}: {value:.2f}" for step, value in curve))
        self.verdicts.say(
            f"held-out perplexity, from {VOCABULARY} by chance,", curve[-1][1], "", PERPLEXITY_TARGET, at_least=False)
        return model

    def complete_tokenizer(self):
        """What `tokenizer` learns from texts cannot tell how a conversation looks, nor which token ends an answer."""
        path = os.path.join(self.path("tokenizer"), "tokenizer_config.json")
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
        self.write(path, {**settings, "chat_template": CHAT_TEMPLATE})
        self.write(os.path.join("tokenizer", "generation_config.json"), {
            "eos_token_id": CONFIGURATION["eos_token_id"], "do_sample": False})

    def sft(self, pretrained):
        """Returns the directory of the tuned model, and the share of right answers."""
        chance, questions = self.chance("endings"), self.questions
        learning_text.write_rows(self.path("sft.jsonl"), (
            {"messages": [message("user", questions.question(date)), message(
                "assistant", questions.answer(date, chance.choice((POLITE, CURT))))]}
            for date in questions.trained))
        asked = self.ask_file()
        before = self.right(self.answers(pretrained, asked))
        model, seconds = self.train(
            "sft", pretrained, "sft.jsonl", "tuned", tuner_type="full", packing=True, packing_length=CONTEXT,
            max_length=CONTEXT, per_device_train_batch_size=3, num_train_epochs=1, learning_rate=1e-3)
        answers = self.answers(model, asked)
        after = self.right(answers)
        print(f"\nSFT on {len(questions.trained):,} questions for a date in figures, {seconds:.0f} s")
        self.show(answers)
        self.verdicts.say("exact answers to held-out questions before", before * 100, "%", 5, at_least=False,
                          form="{:.1f}")
        self.verdicts.say("exact answers to held-out questions after", after * 100, "%", 95, at_least=True,
                          form="{:.1f}")
        return model, after

    def dpo(self, tuned, accuracy):
        """The chosen answers' own likelihood counts as well (`rpo_alpha`): without it, pairs that differ in a few
        tokens at their end push the likelihood of both down until neither is said."""
        questions = self.questions
        learning_text.write_rows(self.path("pairs.jsonl"), (
            {"messages": [message("user", questions.question(date)),
                          message("assistant", questions.answer(date, POLITE))],
             "rejected_response": questions.answer(date, CURT)}
            for date in self.chance("pairs").sample(questions.trained, self.sizes["pairs"])))
        asked = self.ask_file()
        before = self.polite(self.answers(tuned, asked, temperature=1))
        adapter, seconds = self.train(
            "rlhf", tuned, "pairs.jsonl", "preferred", rlhf_type="dpo", beta=0.1, rpo_alpha=1,
            **martlet_command.lora(), per_device_train_batch_size=8, num_train_epochs=1, max_length=CONTEXT,
            learning_rate=1e-3)
        after = self.polite(self.answers(tuned, asked, adapter=adapter, temperature=1))
        answers = self.answers(tuned, asked, adapter=adapter)
        kept = self.right(answers)
        print(f"\nDPO with {self.sizes['pairs']} pairs that prefer \"{POLITE}\" to \"{CURT}\", {seconds:.0f} s")
        self.show(answers)
        say = self.verdicts.say
        say("polite endings before, off the half", abs(before - 0.5) * 100, "%", 20, at_least=False, form="{:.1f}")
        say("polite endings after", after * 100, "%", 90, at_least=True, form="{:.1f}")
        say("exact answers lost by it", (accuracy - kept) * 100, "%", 2, at_least=False, form="{:.1f}")

    # Questions and answers

    def ask_file(self):
        """The held-out questions: the same ones each time."""
        chance, self.questions.chance = self.questions.chance, self.chance("asked")
        learning_text.write_rows(self.path("asked.jsonl"), (
            {"messages": [message("user", self.questions.question(date))]} for date in self.questions.held_out))
        self.questions.chance = chance
        return self.path("asked.jsonl")

    def answers(self, model, asked, adapter=None, temperature=0):
        out = self.run(martlet_command.generate(
            self.martlet, model, asked, adapter=adapter, temperature=temperature, max_new_tokens=32,
            threads=self.options.threads))
        answers = [json.loads(line)["text"] for line in out.splitlines()]
        if len(answers) != len(self.questions.held_out):
            sys.exit(f"generate gave {len(answers)} answers to {len(self.questions.held_out)} questions")
        return answers

    def right(self, answers):
        good = [answer in (self.questions.answer(date, POLITE), self.questions.answer(date, CURT))
                for date, answer in zip(self.questions.held_out, answers)]
        return sum(good) / len(good)

    def polite(self, answers):
        return sum(answer.endswith(POLITE) for answer in answers) / len(answers)

    def show(self, answers):
        for date, answer in list(zip(self.questions.held_out, answers))[:2]:
            print(f"  {learning_text.day_in_words(date)}: {answer[:60]!r}")

    def write(self, name, value):
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump(value, file)


def main():
    parser = argparse.ArgumentParser(description="Pretrains, tunes and aligns a small model with martlet alone.")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", "martlet"))
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="few steps, to see that it works; figures do not count")
    parser.add_argument("--keep", metavar="DIR", help="work in this folder and leave it")
    options = parser.parse_args()
    folder = options.keep or tempfile.mkdtemp(prefix="martlet-learning-", dir="/var/tmp")
    os.makedirs(folder, exist_ok=True)
    lesson = Lesson(options, folder)
    began = time.monotonic()
    try:
        print(machine())
        print(f"martlet {martlet_version(lesson.martlet)}, {options.threads} threads, seed {options.seed}")
        pretrained = lesson.pretrain()
        tuned, accuracy = lesson.sft(pretrained)
        lesson.dpo(tuned, accuracy)
        lesson.verdicts.say("minutes for all", (time.monotonic() - began) / 60, "min", 10, at_least=False,
                            form="{:.1f}", is_goal=True)
        print()
        status = lesson.verdicts.finish()
        return 0 if options.short else status
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
