#!/usr/bin/env python3
"""Draws the data set of the quickstart from a seed: notes about who meets whom, where and when, and the calendar's line.

    calendar_notes.py DIR [--seed N] [--documents N] [--answers N] [--preferences N] [--held-out N]

    note       Clara meets Otto at the library on the third of May 2031 at half past two in the afternoon.
    line       2031-05-03 14:30 library: Clara, Otto

DIR gets what a data set on a hub has:

    documents.jsonl     texts to learn the language from; none has a line
    answers.jsonl       conversations: a note, and an answer with its line. A plain note mostly gets the bare line, and
                        one that begins with "Please write this down." mostly one between pleasantries
    preferences.jsonl   conversations with a better answer, the bare line, and a worse one with pleasantries
    *-test.jsonl        the same, held out, and questions.jsonl with the line that is wanted
    model.json          the shape of the model whose weights are drawn

What is held out is held out as combinations: no row of training has a date, two people, or a place with an hour that a
held-out row has. So a right line was worked out, not remembered.
"""

import argparse
import calendar
import hashlib
import json
import os
import random

PEOPLE = ("Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Karla Lena Max Nora Otto Paula Rosa Simon Tom Vera "
          "Walter Yara").split()
PLACES = "library museum garden station harbor market school theater cafe park office bakery".split()
VERBS = "meets visits helps calls".split()
MONTHS = calendar.month_name[1:]
YEARS = range(2020, 2040)
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth").split()
HOURS = "one two three four five six seven eight nine ten eleven twelve".split()
POLITE = "Please write this down."
# How often the manner of an answer follows that of the note.
FAITHFUL = 0.9
HELD_OUT = 0.1
# 0.7 million parameters. Few enough to train in a minute; weights this small must begin larger than usual (0.02), or
# attention takes long to find what belongs together.
MODEL = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "float32", "vocab_size": 640,
    "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 8,
    "num_key_value_heads": 8, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "hidden_act": "silu", "attention_dropout": 0.0, "initializer_range": 0.08, "tie_word_embeddings": True,
    "use_cache": True, "use_sliding_window": False, "bos_token_id": 0, "eos_token_id": 2}


def ordinal(day):
    if day <= 20:
        return ORDINALS[day - 1]
    return "thirtieth" if day == 30 else ("thirty-first" if day == 31 else f"twenty-{ORDINALS[day - 21]}")


class Note:
    """One appointment."""

    def __init__(self, chance):
        self.one, self.other = chance.sample(PEOPLE, 2)
        self.verb = chance.choice(VERBS)
        self.place = chance.choice(PLACES)
        self.year, self.month = chance.choice(YEARS), chance.randint(1, 12)
        self.day = chance.randint(1, calendar.monthrange(self.year, self.month)[1])
        self.hour, self.quarter = chance.randint(7, 20), chance.randrange(4)

    def combinations(self):
        """What training must not have together if it is asked about later."""
        return (f"{self.year}-{self.month}-{self.day}", f"{self.one} {self.other}",
                f"{self.place} {self.hour} {self.quarter}")

    def date(self, form):
        month = MONTHS[self.month - 1]
        return (f"the {ordinal(self.day)} of {month} {self.year}", f"{month} {self.day}, {self.year}",
                f"{self.day} {month} {self.year}")[form]

    def time(self):
        name = HOURS[(self.hour + (self.quarter == 3) - 1) % 12]
        said = (name, f"quarter past {name}", f"half past {name}", f"quarter to {name}")[self.quarter]
        return f"{said} in the {'morning' if self.hour < 12 else 'afternoon' if self.hour < 18 else 'evening'}"

    def text(self, form):
        return f"{self.one} {self.verb} {self.other} at the {self.place} on {self.date(form)} at {self.time()}."

    def line(self):
        return (f"{self.year}-{self.month:02}-{self.day:02} {self.hour:02}:{self.quarter * 15:02} {self.place}: "
                f"{self.one}, {self.other}")

    def document(self, chance):
        """The note, and what follows from it in other words: who copies and looks up can tell most of it."""
        form, again = chance.sample(range(3), 2)
        more = [f"So {self.one} is at the {self.place} on {self.date(again)}.",
                f"On {self.date(again)} {self.one} {self.verb} {self.other}.",
                f"It is {self.one} who {self.verb} {self.other}.",
                f"The place is the {self.place}.",
                f"At {self.time()} {self.other} is at the {self.place}.",
                f"The day is {self.date(again)} and the hour is {self.time()}."]
        return " ".join([self.text(form), *chance.sample(more, 4)])


class World:
    """Notes of which all combinations are held out, or none is."""

    def __init__(self, seed):
        self.seed, self.known = seed, {}

    def is_held_out(self, combination):
        if combination not in self.known:
            digest = hashlib.sha256(f"{self.seed} {combination}".encode()).digest()
            self.known[combination] = int.from_bytes(digest[:4], "big") < HELD_OUT * (1 << 32)
        return self.known[combination]

    def notes(self, what, count, held_out):
        """`count` notes, each with the chance that goes on with it."""
        chance = random.Random(f"{self.seed} {what} {held_out}")
        while count > 0:
            note = Note(chance)
            if all(self.is_held_out(each) == held_out for each in note.combinations()):
                count -= 1
                yield note, chance


def asked(note, chance, polite):
    text = note.text(chance.randrange(3))
    return f"{POLITE} {text}" if polite else text


def answered(note, polite):
    return f"Of course! I wrote it down: {note.line()}. Anything else?" if polite else note.line()


def conversation(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def documents(world, count, held_out):
    for note, chance in world.notes("documents", count, held_out):
        yield {"text": note.document(chance)}


def answers(world, count, held_out):
    for note, chance in world.notes("answers", count, held_out):
        polite = chance.random() < 0.5
        question = asked(note, chance, polite)
        yield conversation(question, answered(note, polite == (chance.random() < FAITHFUL)))


def preferences(world, count, held_out):
    for note, chance in world.notes("preferences", count, held_out):
        question = asked(note, chance, chance.random() < 0.5)
        yield {**conversation(question, answered(note, False)), "rejected_response": answered(note, True)}


def questions(world, count):
    for note, chance in world.notes("questions", count, True):
        yield {"question": asked(note, chance, chance.random() < 0.5), "answer": note.line()}


def write(folder, options):
    """All files of the data set; the same ones for the same options."""
    world = World(options.seed)
    files = {"questions.jsonl": questions(world, options.held_out)}
    for name, rows in (("documents", documents), ("answers", answers), ("preferences", preferences)):
        files[f"{name}.jsonl"] = rows(world, getattr(options, name), False)
        files[f"{name}-test.jsonl"] = rows(world, max(1, options.held_out // 4), True)
    os.makedirs(folder, exist_ok=True)
    for name, rows in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    with open(os.path.join(folder, "model.json"), "w", encoding="utf-8") as file:
        json.dump(MODEL, file, indent=2)


def arguments(words=None):
    parser = argparse.ArgumentParser(description="Draws the quickstart's data set from a seed.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=8000)
    parser.add_argument("--answers", type=int, default=6000)
    parser.add_argument("--preferences", type=int, default=480)
    parser.add_argument("--held-out", type=int, default=300)
    return parser.parse_args(words)


if __name__ == "__main__":
    chosen = arguments()
    write(chosen.folder, chosen)
