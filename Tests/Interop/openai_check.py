"""OpenAI's own client (`openai` on PyPI) against `martlet serve`: chat, streams, tools, log probabilities, JSON by a
schema, embeddings, errors, many at a time, and a client that goes away.

    openai_check.py --martlet PATH

Needs openai. The model is small and of random weights, so that what it says means nothing; what can be checked is that
answers are well-formed, that the same question has the same answer by every way, and that what constrains an answer does.
Nothing leaves the loopback interface.
"""

import argparse
import asyncio
import concurrent.futures
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "Soak")]

import openai  # noqa: E402
import pydantic  # noqa: E402

from server import Checks  # noqa: E402
from soak import write_model  # noqa: E402

KEY = "a-key-of-the-check"
MODEL = "small"
#: Holds what tells the server the format of tool calls, and shows tools and their results to the model.
TEMPLATE = (
    "{% if tools %}Tools, to be called as <tool_call>{...}</tool_call>:\n"
    "{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}")
HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, wörld"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather", "description": "The weather of a place.",
        "parameters": {
            "type": "object", "additionalProperties": False, "required": ["city", "unit"],
            "properties": {"city": {"type": "string", "maxLength": 8}, "unit": {"enum": ["celsius", "kelvin"]}},
        },
    },
}
TIME = {"type": "function", "function": {
    "name": "get_time", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}


class Person(pydantic.BaseModel):
    name: typing.Annotated[str, pydantic.StringConstraints(max_length=8)]
    age: typing.Literal[1, 2, 3]
    tags: typing.Annotated[list[typing.Literal["a", "b"]], pydantic.Field(max_length=2)]


class Serve:
    """`martlet serve` for the length of a `with` block."""

    def __init__(self, martlet, folder, *options):
        self.command = [martlet, "serve", folder, "--port", "0", "--api-key", KEY, *options]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(60, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if not found:
            raise SystemExit(f"the server did not start: {line!r}")
        self.url = found.group(0)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def client(self, **options):
        return openai.OpenAI(base_url=self.url + "/v1", **{"api_key": KEY, "max_retries": 0, "timeout": 60, **options})

    def metric(self, name):
        request = urllib.request.Request(self.url + "/metrics", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def refused(kind, call):
    """The error of a call that must end with one of this kind, else what came instead."""
    try:
        return None, f"no error but {call()!r}"[:300]
    except openai.APIError as error:
        return (error, "") if type(error) is kind else (None, f"{type(error).__name__}: {error}")


def chat(check, client):
    first = client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=24, temperature=0)
    choice = first.choices[0]
    check("chat answers", choice.message.role == "assistant" and choice.message.content and first.object == "chat.completion")
    check("a cut answer says so", choice.finish_reason == "length" and first.usage.completion_tokens == 24, repr(choice))
    check("usage adds up", first.usage.total_tokens == first.usage.prompt_tokens + 24, repr(first.usage))
    again = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=24, temperature=0)
    check("the same question, the same answer", again.choices[0].message.content == choice.message.content)
    check("what was computed before is told", again.usage.prompt_tokens_details.cached_tokens > 0, repr(again.usage))
    draws = [client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=16, temperature=1, seed=seed).choices[0].message.content
        for seed in (5, 5, 6)]
    check("a seed repeats a drawn answer, another does not", draws[0] == draws[1] != draws[2])
    many = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, n=3, temperature=1, seed=1)
    check("n answers", [one.index for one in many.choices] == [0, 1, 2]
          and len({one.message.content for one in many.choices}) == 3)
    word = choice.message.content[3:5]
    stopped = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=24, temperature=0, stop=[word])
    check("a stop string ends before it", stopped.choices[0].finish_reason == "stop"
          and stopped.choices[0].message.content == choice.message.content.split(word)[0], repr(stopped.choices[0]))
    extra = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=12, temperature=1, seed=3, logit_bias={"65": 100},
        presence_penalty=0.1, frequency_penalty=0.1, top_p=0.9,
        extra_body={"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.05, "ignore_eos": True, "min_tokens": 12})
    check("a biased token comes, and vLLM's fields are taken", "A" in extra.choices[0].message.content
          and extra.usage.completion_tokens == 12, repr(extra))


def streams(check, client):
    options = {"model": MODEL, "messages": HELLO, "max_tokens": 40, "temperature": 0}
    whole = client.chat.completions.create(**options)
    chunks = list(client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("a stream says what the whole says", text == whole.choices[0].message.content, repr(text))
    check("its first piece has the role", chunks[0].choices[0].delta.role == "assistant")
    check("its last has the usage and no choice", chunks[-1].choices == [] and chunks[-1].usage == whole.usage,
          repr(chunks[-1]))
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    check("one piece says how it ended", ends == ["length"], repr(ends))
    check("all pieces are of one answer", len({chunk.id for chunk in chunks}) == 1)
    both = client.chat.completions.create(**{**options, "n": 2, "stream": True, "temperature": 1, "seed": 9})
    parts = {0: "", 1: ""}
    for chunk in both:
        for choice in chunk.choices:
            parts[choice.index] += choice.delta.content or ""
    apart = client.chat.completions.create(**{**options, "n": 2, "temperature": 1, "seed": 9})
    check("n streams in one", [parts[0], parts[1]] == [one.message.content for one in apart.choices])
    completion = client.completions.create(model=MODEL, prompt="Once", max_tokens=20, temperature=0)
    pieces = client.completions.create(model=MODEL, prompt="Once", max_tokens=20, temperature=0, stream=True)
    check("completions stream, too", "".join(one.choices[0].text for one in pieces) == completion.choices[0].text)
    several = client.completions.create(model=MODEL, prompt=["Once", "Twice"], max_tokens=20, temperature=0)
    check("a list of prompts has an answer each", len(several.choices) == 2
          and several.choices[0].text == completion.choices[0].text)


def log_probabilities(check, client):
    answer = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=12, temperature=0, logprobs=True, top_logprobs=4)
    tokens = answer.choices[0].logprobs.content
    check("a log probability for each token", len(tokens) == 12)
    joined = b"".join(bytes(token.bytes or []) for token in tokens).decode(errors="replace")
    check("their bytes are the answer", joined == answer.choices[0].message.content, repr(joined))
    check("without temperature the likeliest is taken", all(
        token.top_logprobs[0].logprob == token.logprob == max(one.logprob for one in token.top_logprobs)
        for token in tokens))
    check("they are probabilities", all(
        len(token.top_logprobs) == 4 and 0 < sum(math.exp(one.logprob) for one in token.top_logprobs) <= 1.0001
        for token in tokens))
    streamed = [
        one for chunk in client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=12, temperature=0, logprobs=True, top_logprobs=4, stream=True)
        if chunk.choices and chunk.choices[0].logprobs for one in chunk.choices[0].logprobs.content]
    check("a stream has the same", [(one.token, round(one.logprob, 5)) for one in streamed]
          == [(one.token, round(one.logprob, 5)) for one in tokens])
    echo = client.completions.create(model=MODEL, prompt="Once upon", max_tokens=1, temperature=0, logprobs=2, echo=True)
    scores = echo.choices[0].logprobs
    check("a prompt is scored", echo.choices[0].text.startswith("Once upon") and scores.token_logprobs[0] is None
          and all(value < 0 for value in scores.token_logprobs[1:]) and len(scores.tokens) == 10, repr(scores))


def tools(check, client):
    options = {"model": MODEL, "messages": HELLO, "max_tokens": 300, "temperature": 1, "seed": 2}
    named = client.chat.completions.create(
        **options, tools=[WEATHER, TIME], tool_choice={"type": "function", "function": {"name": "get_weather"}})
    calls = named.choices[0].message.tool_calls or []
    check("a function that must be called is", [one.function.name for one in calls] == ["get_weather"], repr(named))
    given = json.loads(calls[0].function.arguments) if calls else {}
    check("with arguments of its schema", set(given) == {"city", "unit"} and len(given["city"]) <= 8
          and given["unit"] in ("celsius", "kelvin"), repr(given))
    required = client.chat.completions.create(**options, tools=[TIME, WEATHER], tool_choice="required")
    calls = required.choices[0].message.tool_calls or []
    check("one of several is called", calls and calls[0].function.name in ("get_time", "get_weather")
          and required.choices[0].finish_reason == "tool_calls", repr(required))
    check("calls have ids", all(one.id and one.type == "function" for one in calls))
    names, arguments = {}, {}
    for chunk in client.chat.completions.create(**options, tools=[TIME, WEATHER], tool_choice="required", stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            if call.function.name:
                names[call.index] = call.function.name
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    check("a stream brings the same calls in pieces", [
        (names[index], json.loads(arguments[index])) for index in sorted(names)
    ] == [(one.function.name, json.loads(one.function.arguments)) for one in calls], repr(arguments))
    none = client.chat.completions.create(**{**options, "max_tokens": 20}, tools=[TIME], tool_choice="none")
    check("none is called that must not be", not none.choices[0].message.tool_calls)
    told = HELLO + [
        {"role": "assistant", "content": None, "tool_calls": [one.model_dump() for one in calls]},
        *({"role": "tool", "tool_call_id": one.id, "content": "12:00"} for one in calls)]
    after = client.chat.completions.create(**{**options, "messages": told, "max_tokens": 8}, tools=[TIME, WEATHER])
    check("results go back to the model", after.usage.prompt_tokens > required.usage.prompt_tokens, repr(after.usage))


def constrained(check, client):
    options = {"model": MODEL, "messages": HELLO, "max_tokens": 300, "temperature": 1}
    people = [client.chat.completions.parse(**options, seed=seed, response_format=Person) for seed in range(4)]
    check("answers by a schema are what the client parses", all(
        isinstance(one.choices[0].message.parsed, Person) for one in people), repr(people[0]))
    check("and differ where they may", len({one.choices[0].message.content for one in people}) > 1)
    with client.chat.completions.stream(**options, seed=1, response_format=Person) as stream:
        last = stream.get_final_completion()
    check("also as a stream", isinstance(last.choices[0].message.parsed, Person)
          and last.choices[0].message.content == people[1].choices[0].message.content)
    loose = client.chat.completions.create(
        **{**options, "temperature": 0.3}, seed=1, response_format={"type": "json_object"})
    text = loose.choices[0].message.content
    check("any object is one, if it had the room", loose.choices[0].finish_reason == "length"
          or isinstance(json.loads(text), dict), repr(text))
    chosen = client.chat.completions.create(
        **options, extra_body={"structured_outputs": {"choice": ["red", "green"]}})
    check("a choice is made", chosen.choices[0].message.content in ("red", "green"), repr(chosen))
    matched = client.chat.completions.create(
        **options, extra_body={"structured_outputs": {"regex": r"[a-c]{3}-\d{2}"}})
    check("a pattern is kept", re.fullmatch(r"[a-c]{3}-\d{2}", matched.choices[0].message.content), repr(matched))


def embeddings(check, client):
    both = client.embeddings.create(model=MODEL, input=["a cat", "a dog"])
    alone = client.embeddings.create(model=MODEL, input="a cat", encoding_format="float")
    vectors = [one.embedding for one in both.data]
    check("a vector for each text", len(vectors) == 2 and len(vectors[0]) == 64 and vectors[0] != vectors[1])
    check("of length 1", all(abs(math.hypot(*vector) - 1) < 1e-4 for vector in vectors))
    check("as bytes or as numbers, alone or not", all(
        abs(a - b) < 1e-5 for a, b in zip(vectors[0], alone.data[0].embedding)))
    check("their tokens are counted", both.usage.prompt_tokens == 10 and alone.usage.prompt_tokens == 5, repr(both.usage))
    ids = client.embeddings.create(model=MODEL, input=[list(b"a cat")])
    check("token ids are taken, too", all(abs(a - b) < 1e-5 for a, b in zip(vectors[0], ids.data[0].embedding)))


def errors(check, server, client):
    def ask(**fields):
        return client.chat.completions.create(**{"model": MODEL, "messages": HELLO, "max_tokens": 4, **fields})

    cases = [
        ("an unknown model", openai.NotFoundError, lambda: ask(model="other"), "model"),
        ("a temperature below 0", openai.BadRequestError, lambda: ask(temperature=-1), "temperature"),
        ("no message", openai.BadRequestError, lambda: ask(messages=[]), "messages"),
        ("a prompt that is too long", openai.BadRequestError,
         lambda: ask(messages=[{"role": "user", "content": "x" * 2000}]), None),
        ("a schema that is none", openai.BadRequestError, lambda: ask(response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}), None),
        ("a tool choice without tools", openai.BadRequestError, lambda: ask(tool_choice="required"), None),
    ]
    for name, kind, call, parameter in cases:
        error, what = refused(kind, call)
        check(f"{name} is refused by name", error is not None and error.message
              and (parameter is None or error.param == parameter), what or repr(error.body if error else ""))
    stranger = server.client(api_key="wrong")
    error, what = refused(openai.AuthenticationError, lambda: stranger.models.list())
    check("a wrong key is refused", error is not None and error.status_code == 401, what)
    error, what = refused(openai.BadRequestError, lambda: list(ask(stream=True, temperature=-1)))
    check("a stream that cannot begin is refused as well", error is not None, what)
    models = client.models.list().data
    check("the model is listed", [one.id for one in models] == [MODEL] and client.models.retrieve(MODEL).id == MODEL)


async def at_once(check, server):
    async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key=KEY, timeout=60, max_retries=5) as client:
        async def ask(number):
            text = ""
            async for chunk in await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": f"Number {number}"}], max_tokens=24,
                    temperature=0, stream=True):
                text += chunk.choices[0].delta.content or ""
            return text

        alone = [await ask(number) for number in range(12)]
        together = await asyncio.gather(*(ask(number) for number in range(12)))
    check("twelve at once say what each said alone", alone == list(together))


def vanishing(check, server, client):
    stream = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=900, temperature=1, stream=True, extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    for _ in range(300):
        if server.metric("vllm:num_requests_running") == 0:
            break
        time.sleep(0.1)
    check("who goes away leaves no work behind", server.metric("vllm:num_requests_running") == 0)


def overload(check, server):
    client = server.client(timeout=120)

    def ask(number):
        try:
            client.completions.create(
                model=MODEL, prompt=f"Number {number}", max_tokens=900, extra_body={"ignore_eos": True})
            return None
        except openai.RateLimitError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(ask, range(24)))
    told = [one for one in outcomes if one is not None]
    check("too many at once are told to come again, the others served", told and len(told) < 24, f"{len(told)} of 24")
    check("and when", all(int(one.response.headers["retry-after"]) > 0 for one in told))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", required=True)
    options = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="martlet-openai-") as scratch:
        folder = os.path.join(scratch, MODEL)
        os.mkdir(folder)
        write_model(folder, 3)
        path = os.path.join(folder, "tokenizer_config.json")
        with open(path, encoding="utf-8") as file:
            settings = {**json.load(file), "chat_template": TEMPLATE}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(settings, file)
        with Serve(options.martlet, folder, "--max-num-seqs", "4", "--max-queue", "12") as server:
            client = server.client()
            for part in (chat, streams, log_probabilities, tools, constrained, embeddings):
                part(check, client)
            errors(check, server, client)
            asyncio.run(at_once(check, server))
            vanishing(check, server, client)
            overload(check, server)
    print(f"{check.failures} failed" if check.failures else "all checks passed")
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
