"""What the training benchmark trains on, rows of random ids, and how many operations of arithmetic that needs."""

import json
import random

FIRST_ORDINARY = 256
SPECIAL_TOKENS = 3
IGNORED = -100
LORA_RANK = 8


class Rows:
    """Writes data sets of ids for a model's vocabulary, the same ones for the same seed."""

    def __init__(self, shape, seed=0):
        self.chance = random.Random(seed)
        self.last = shape["vocab_size"] - SPECIAL_TOKENS

    def ids(self, length):
        return [self.chance.randrange(FIRST_ORDINARY, self.last) for _ in range(length)]

    def sequences(self, path, lengths):
        write(path, ({"input_ids": ids, "labels": ids} for ids in map(self.ids, lengths)))

    def pairs(self, path, count, prompt, answer):
        write(path, (
            {"prompt_ids": self.ids(prompt), "chosen_ids": self.ids(answer), "rejected_ids": self.ids(answer)}
            for _ in range(count)))

    def padded(self, path, lengths, batch):
        """Each row as long as the longest of its micro batch, by tokens that are computed and not learned."""
        rows = []
        for start in range(0, len(lengths), batch):
            part = lengths[start:start + batch]
            for length in part:
                ids, padding = self.ids(length), max(part) - length
                rows.append({
                    "input_ids": ids + [self.last] * padding, "labels": ids + [IGNORED] * padding})
        write(path, rows)


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def natural_lengths(count, longest, seed=0):
    """Lengths as those of conversations are: log-normal, half of them below 120 tokens, few near the longest."""
    chance = random.Random(f"lengths {seed}")
    return [max(8, min(longest, round(chance.lognormvariate(4.79, 0.9)))) for _ in range(count)]


def matrices(shape):
    """(outputs, inputs) of each matrix of a layer, by name."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    pairs = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    return {"q": (hidden, hidden), "k": (pairs, hidden), "v": (pairs, hidden), "o": (hidden, hidden),
            "gate": (inner, hidden), "up": (inner, hidden), "down": (hidden, inner)}


def operations(shape, length, is_lora):
    """Of training on a row of `length` tokens, a multiplication and an addition being two.

    A weight takes two a token on the way forward, two for the gradient by its input, and two for its own gradient if it
    is trained. Nobody asks for the gradient by the input of the first layer's queries, keys and values when what is
    before them is frozen. The output layer counts at the positions that have a next token. Attention is counted
    causally: a position meets itself and those before it, in two products forward and four backward; that a fast
    implementation computes one of them again is its own affair. Norms, activations and the optimizer are left out.
    """
    total = 0
    for layer in range(shape["num_hidden_layers"]):
        for name, (outputs, inputs) in matrices(shape).items():
            is_first = is_lora and layer == 0 and name in "qkv"
            passes = 1 + (not is_first) + (not is_lora)
            total += 2 * outputs * inputs * passes * length
            if is_lora:
                # The small matrices are trained; the second one's input gradient is needed always, the first one's
                # where the layer's is.
                total += 2 * LORA_RANK * length * (2 * (inputs + outputs) + outputs + inputs * (not is_first))
    total += 2 * shape["vocab_size"] * shape["hidden_size"] * (2 + (not is_lora)) * (length - 1)
    meetings = length * (length + 1) // 2
    return total + 3 * 4 * shape["hidden_size"] * meetings * shape["num_hidden_layers"]
