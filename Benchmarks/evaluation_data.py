"""Made-up questions with choices, written as Martlet reads them and as lm-evaluation-harness does, so that both ask the
same.
"""

import csv
import json
import os
import random

LETTERS = "ABCD"
# Known to both programs by these names, so that prompts name the subject alike.
SUBJECTS = ["anatomy", "astronomy", "business_ethics", "virology"]


class Questions:
    """Questions of random words, the same ones for the same seed."""

    def __init__(self, seed, subjects, count, shots, stem=14, choice=4):
        self.chance = random.Random(seed)
        self.shots = shots
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.words = ["".join(self.chance.choice(letters) for _ in range(self.chance.randint(2, 8)))
                      for _ in range(600)]
        self.subjects = SUBJECTS[:subjects]
        self.rows = {
            (split, subject): [self.row(stem, choice) for _ in range(shots if split == "dev" else count)]
            for subject in self.subjects for split in ("dev", "test")}

    def text(self, count):
        return " ".join(self.chance.choice(self.words) for _ in range(count))

    def row(self, stem, choice):
        return {"question": self.text(stem) + "?", "answer": self.chance.randrange(4),
                "choices": [self.text(self.chance.randint(1, choice)) for _ in LETTERS]}

    # As Martlet reads them

    def write_mmlu(self, folder):
        """The layout of MMLU's archive: dev and test, a file without a header for each subject."""
        for (split, subject), rows in self.rows.items():
            os.makedirs(os.path.join(folder, split), exist_ok=True)
            path = os.path.join(folder, split, f"{subject}_{split}.csv")
            with open(path, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                for row in rows:
                    writer.writerow([row["question"], *row["choices"], LETTERS[row["answer"]]])

    def write_arc(self, path, subject):
        """The layout of ARC's first release."""
        with open(path, "w", encoding="utf-8") as file:
            for number, row in enumerate(self.rows["test", subject]):
                choices = [{"text": text, "label": label} for text, label in zip(row["choices"], LETTERS)]
                file.write(json.dumps({
                    "id": f"q{number}", "answerKey": LETTERS[row["answer"]],
                    "question": {"stem": row["question"], "choices": choices}}) + "\n")

    # As lm-evaluation-harness does

    def write_lm_eval(self, folder):
        """Rows and task files; the names of the tasks: mmlu_SUBJECT with examples, arc_SUBJECT without."""
        os.makedirs(folder, exist_ok=True)
        for (split, subject), rows in self.rows.items():
            with open(os.path.join(folder, f"{subject}_{split}.jsonl"), "w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
        names = []
        for subject in self.subjects:
            for task in (self.mmlu_task(folder, subject), self.arc_task(folder, subject)):
                # JSON is YAML, too.
                with open(os.path.join(folder, task["task"] + ".yaml"), "w", encoding="utf-8") as file:
                    json.dump(task, file)
                names.append(task["task"])
        return names

    def task(self, folder, subject, splits):
        files = {split: os.path.join(folder, f"{subject}_{split}.jsonl") for split in splits}
        return {"dataset_path": "json", "dataset_kwargs": {"data_files": files}, "test_split": "test",
                "output_type": "multiple_choice", "doc_to_target": "answer"}

    def mmlu_task(self, folder, subject):
        lines = "".join(f"{letter}. {{{{choices[{n}]}}}}\n" for n, letter in enumerate(LETTERS))
        return {
            **self.task(folder, subject, ("dev", "test")), "task": f"mmlu_{subject}", "fewshot_split": "dev",
            "fewshot_config": {"sampler": "first_n"}, "num_fewshot": self.shots,
            "description": "The following are multiple choice questions (with answers) about "
                           f"{subject.replace('_', ' ')}.\n\n",
            "doc_to_text": "{{question.strip()}}\n" + lines + "Answer:", "doc_to_choice": list(LETTERS),
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}

    def arc_task(self, folder, subject):
        metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]
        return {
            **self.task(folder, subject, ("test",)), "task": f"arc_{subject}", "num_fewshot": 0,
            "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_choice": "{{choices}}", "metric_list": metrics}
