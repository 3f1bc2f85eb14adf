"""llama.cpp as a process that answers: loads one GGUF file, then generates what each line of standard input asks for.

    llama_worker.py FILE THREADS CONTEXT STREAMS

A line `{"prompts": [[ids], ...], "steps": N}` is answered by `{"first": S, "last": S}`: seconds from the beginning
until each prompt has its first token, and until each has N. Tokens are chosen greedily, end tokens do not end a stream.
The library's own functions are called: nothing but an argmax is done in Python between two steps. Logits are asked for
at the last position of a prompt only, and all streams go through one `llama_decode` a step.
"""

import ctypes
import json
import sys
import time

import llama_cpp
import numpy as np


def quiet(level, text, user):
    pass


LOG = llama_cpp.llama_log_callback(quiet)


class Model:
    def __init__(self, path, threads, context, streams):
        self.streams = streams
        llama_cpp.llama_log_set(LOG, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp cannot load {path}")
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        # A context for one sequence and one for many, so that neither pays for the other.
        self.single = self.context(threads, context, 1)
        self.parallel = self.context(threads, context, streams)

    def context(self, threads, tokens, streams):
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = tokens
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_seq_max = streams
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.no_perf = True
        made = llama_cpp.llama_init_from_model(self.model, parameters)
        if not made:
            sys.exit("llama.cpp cannot make a context")
        return made

    def generate(self, prompts, steps):
        context = self.single if len(prompts) == 1 else self.parallel
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch = llama_cpp.llama_batch_init(sum(map(len, prompts)), 0, 1)
        began = time.perf_counter()
        rows = self.fill(batch, [(ids, 0) for ids in prompts])
        tokens = self.step(context, batch, rows)
        first = time.perf_counter() - began
        for step in range(steps - 1):
            rows = self.fill(batch, [([token], len(ids) + step) for token, ids in zip(tokens, prompts)])
            tokens = self.step(context, batch, rows)
        last = time.perf_counter() - began
        llama_cpp.llama_batch_free(batch)
        return {"first": first, "last": last}

    @staticmethod
    def fill(batch, parts):
        """Puts the ids of each sequence into the batch; returns the rows whose logits choose the next tokens."""
        row, last = 0, []
        for sequence, (ids, position) in enumerate(parts):
            for offset, token in enumerate(ids):
                batch.token[row] = token
                batch.pos[row] = position + offset
                batch.n_seq_id[row] = 1
                batch.seq_id[row][0] = sequence
                batch.logits[row] = offset == len(ids) - 1
                row += 1
            last.append(row - 1)
        batch.n_tokens = row
        return last

    def step(self, context, batch, rows):
        status = llama_cpp.llama_decode(context, batch)
        if status != 0:
            sys.exit(f"llama_decode ended with {status}")
        return [
            int(np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, row), (self.vocabulary,)).argmax())
            for row in rows]


def main():
    path, threads, context, streams = sys.argv[1], *map(int, sys.argv[2:5])
    model = Model(path, threads, context, streams)
    print(json.dumps({"about": llama_cpp.llama_print_system_info().decode()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(model.generate(asked["prompts"], asked["steps"])), flush=True)


if __name__ == "__main__":
    main()
