#!/usr/bin/env python3
"""Renders a Helm chart without helm: the subset of Go's templates that deploy/chart uses, and no more.

    chart_render.py [--chart DIR] [--release NAME] [--namespace NAME] [--values FILE]... [--set KEY=VALUE]... [--notes]

Needs PyYAML and jsonschema (PyPI). What lies beyond the subset ends in an error, and so does what Helm would print as
`<no value>`: a chart that renders here uses nothing that is understood only by chance. Numbers of values are floats, as
they are in Helm, so that `printf "%d" .Values.n` without `int` is caught.
"""

import argparse
import base64
import copy
import json
import pathlib
import random
import re
import string
import sys

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORD = re.compile(r"""
    (?P<space>\s+) | (?P<string>"(?:\\.|[^"\\])*") | (?P<raw>`[^`]*`) | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<variable>\$\w*(?:\.\w+)*) | (?P<field>(?:\.\w+)+|\.) | (?P<set>:=|=) | (?P<mark>[|(),]) | (?P<name>\w+)
""", re.X)
ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.S)
CALL_LIMIT = 100  # templates that include each other


class ChartError(Exception):
    """Why the chart cannot be rendered, as its user would read it."""


class UniqueKeys(yaml.SafeLoader):
    """YAML in which no map has a key twice; PyYAML would take the last one silently."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys twice: {sorted(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def documents(text):
    return [document for document in yaml.load_all(text, Loader=UniqueKeys) if document is not None]


# MARK: Values

def as_helm(value):
    """Values as Helm has them after reading YAML by way of JSON: numbers are floats."""
    if isinstance(value, dict):
        return {str(key): as_helm(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_helm(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def plain(value):
    """The way back, for YAML and schemas: whole floats are whole numbers."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def merged(lower, upper):
    """Maps are merged, anything else replaced; null takes a default away."""
    result = copy.deepcopy(lower)
    for key, value in upper.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


# MARK: Functions

def is_true(value):
    return not (value is None or value is False or value == 0 or value == "" or value == [] or value == {})


def printed(value):
    """As Go prints it; nothing is an error here, since Helm would print `<no value>` or nothing."""
    if value is None:
        raise ChartError("a value that is not there would be printed")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # Go's %v: an exponent from 21 digits on only for whole programs, from 1e+06 on for what templates print.
        return f"{value:.6g}" if abs(value) >= 1e6 else re.sub(r"\.0$", "", repr(value))
    if isinstance(value, (dict, list)):
        raise ChartError(f"a {type(value).__name__} would be printed; toYaml is missing")
    return str(value)


def formatted(pattern, *values):
    rest = list(values)

    def one(match):
        if match.group() == "%%":
            return "%"
        if not rest:
            raise ChartError(f"printf {pattern!r} has too few arguments")
        value = rest.pop(0)
        wanted = {"%s": str, "%d": int, "%q": str}.get(match.group())
        if match.group() != "%v" and (not isinstance(value, wanted or ()) or isinstance(value, bool)):
            raise ChartError(f"printf {pattern!r}: {match.group()} with {value!r}")
        return json.dumps(value) if match.group() == "%q" else printed(value)

    text = re.sub(r"%.", one, pattern)
    if rest:
        raise ChartError(f"printf {pattern!r} has too many arguments")
    return text


def compared(test):
    def compare(left, right):
        if type(left) is not type(right):
            raise ChartError(f"incompatible types for comparison: {left!r} and {right!r}")
        return test(left, right)
    return compare


def equal(first, *others):
    return any(compared(lambda left, right: left == right)(first, other) for other in others)


def to_int(value):
    return int(float(value)) if isinstance(value, (int, float, str)) and str(value) else 0


def failed(text):
    raise ChartError(text)


def unique(items):
    return [item for place, item in enumerate(items) if item not in items[:place]]


def from_yaml(text):
    """Helm gives a map in any case: what is no map is told in it."""
    value = yaml.load(text, Loader=UniqueKeys)
    return as_helm(value) if isinstance(value, dict) else {} if value is None else {"Error": "it is no map"}


FUNCTIONS = {
    "default": lambda other, value=None: value if is_true(value) else other,
    "required": lambda text, value=None: value if value not in (None, "") else failed(text),
    "fail": failed, "printf": formatted, "not": lambda value: not is_true(value), "empty": lambda v: not is_true(v),
    "eq": equal, "ne": lambda left, right: not equal(left, right),
    "gt": compared(lambda left, right: left > right), "lt": compared(lambda left, right: left < right),
    "ge": compared(lambda left, right: left >= right), "le": compared(lambda left, right: left <= right),
    "ternary": lambda yes, no, condition: yes if condition is True else no if condition is False else failed(
        f"ternary needs true or false, not {condition!r}"),
    "quote": lambda value: json.dumps(printed(value), ensure_ascii=False),
    "toYaml": lambda value: yaml.safe_dump(plain(value), default_flow_style=False, width=10_000).strip(),
    "indent": lambda count, text: "\n".join(" " * count + line for line in text.split("\n")),
    "nindent": lambda count, text: "\n" + "\n".join(" " * count + line for line in text.split("\n")),
    "trim": lambda text: text.strip(), "trunc": lambda count, text: text[:count],
    "trimSuffix": lambda end, text: text.removesuffix(end), "replace": lambda old, new, text: text.replace(old, new),
    "join": lambda mark, items: mark.join(map(printed, items)),
    "contains": lambda part, text: part in text, "has": lambda item, items: item in items,
    "list": lambda *items: list(items), "dict": lambda *items: dict(zip(items[::2], items[1::2])),
    "prepend": lambda items, item: [item] + items, "uniq": unique, "hasKey": lambda table, key: key in table,
    "index": lambda table, key: table[key], "int": to_int, "splitList": lambda mark, text: text.split(mark),
    "fromYaml": from_yaml,
    "b64enc": lambda value: base64.b64encode(value.encode()).decode(),
}


# MARK: Reading templates

class Reader:
    """A template's text as a tree of ("text", ...), ("show", ...), ("if", ...) and so on."""

    def __init__(self, text, name):
        self.name, self.definitions = name, {}
        self.pieces = self.split(text)
        self.place = 0
        self.tree, end = self.block()
        if end:
            raise ChartError(f"{name}: `{end}` without a beginning")

    @staticmethod
    def split(text):
        pieces, at, trims = [], 0, False
        for match in ACTION.finditer(text):
            before = text[at:match.start()]
            before = before.lstrip() if trims else before
            pieces.append(("text", before.rstrip() if match.group(1) else before))
            inner = match.group(2).strip()
            if not (inner.startswith("/*") and inner.endswith("*/")):
                pieces.append(("action", inner))
            at, trims = match.end(), bool(match.group(3))
        pieces.append(("text", text[at:].lstrip() if trims else text[at:]))
        return [piece for piece in pieces if piece[1]]

    def block(self):
        """What stands before the next `end` or `else` of this level, and that word."""
        nodes = []
        while self.place < len(self.pieces):
            kind, text = self.pieces[self.place]
            self.place += 1
            if kind == "text":
                nodes.append(("text", text))
                continue
            word, _, rest = text.partition(" ")
            if word == "end" or word == "else":
                return nodes, text
            if word == "define":
                body, end = self.block()
                self.definitions[json.loads(rest)] = body
                self.expect(end, "end")
            elif word in ("if", "with", "range"):
                nodes.append(self.branch(word, rest))
            else:
                nodes.append(("show", Pipeline(text, self.name)))
        return nodes, ""

    def branch(self, word, condition):
        body, end = self.block()
        otherwise = []
        if end.startswith("else if "):
            otherwise = [self.branch("if", end[len("else if "):])]
        elif end == "else":
            otherwise, end = self.block()
            self.expect(end, "end")
        else:
            self.expect(end, "end")
        return (word, Pipeline(condition, self.name), body, otherwise)

    def expect(self, found, wanted):
        if found != wanted:
            raise ChartError(f"{self.name}: `{found or 'the end'}` where `{wanted}` is expected")


class Pipeline:
    """`$x := a | b c`, read once."""

    def __init__(self, text, name):
        self.text, self.name = text, name
        self.words, at = [], 0
        while at < len(text):
            match = WORD.match(text, at)
            if not match:
                raise ChartError(f"{name}: cannot read `{text[at:at + 20]}` in `{text}`")
            if match.lastgroup != "space":
                # A field behind a parenthesis belongs to it; one behind a space is an argument.
                glued = match.lastgroup == "field" and at > 0 and text[at - 1] == ")"
                self.words.append(("member" if glued else match.lastgroup, match.group()))
            at = match.end()
        self.variables, self.declares = [], False
        sets = [place for place, word in enumerate(self.words) if word[0] == "set"]
        if sets:
            self.declares = self.words[sets[0]][1] == ":="
            self.variables = [word for kind, word in self.words[:sets[0]] if kind == "variable"]
            self.words = self.words[sets[0] + 1:]
        self.place = 0
        self.tree = self.pipeline()
        if self.place != len(self.words):
            raise ChartError(f"{name}: too much in `{text}`")

    def peek(self):
        return self.words[self.place] if self.place < len(self.words) else ("", "")

    def pipeline(self):
        command = self.command()
        while self.peek() == ("mark", "|"):
            self.place += 1
            function = self.command()
            if function[0] != "call":
                raise ChartError(f"{self.name}: `{self.text}` pipes into what is no function")
            command = ("call", function[1], function[2] + [command])
        return command

    def command(self):
        kind, word = self.peek()
        if kind == "name" and word not in ("true", "false", "nil"):
            self.place += 1
            arguments = []
            while self.peek()[1] not in ("", "|", ")"):
                arguments.append(self.operand())
            return ("call", word, arguments)
        value = self.operand()
        arguments = []
        while value[0] == "fields" and self.peek()[1] not in ("", "|", ")"):
            arguments.append(self.operand())
        return ("method", value, arguments) if arguments else value

    def operand(self):
        kind, word = self.peek()
        self.place += 1
        if (kind, word) == ("mark", "("):
            inner = self.pipeline()
            if self.peek() != ("mark", ")"):
                raise ChartError(f"{self.name}: `{self.text}` has an open parenthesis")
            self.place += 1
            if self.peek()[0] == "member":
                inner = ("fields", inner, self.peek()[1].strip(".").split("."))
                self.place += 1
            return inner
        if kind == "string":
            return ("value", json.loads(word))
        if kind == "raw":
            return ("value", word[1:-1])
        if kind == "number":
            return ("value", float(word) if "." in word else int(word))
        if kind == "variable":
            name, *fields = word.split(".")
            return ("fields", ("variable", name), fields)
        if kind == "field":
            return ("fields", ("dot",), [name for name in word.split(".") if name])
        if kind == "name" and word in ("true", "false", "nil"):
            return ("value", {"true": True, "false": False, "nil": None}[word])
        if kind == "name":
            return ("call", word, [])
        raise ChartError(f"{self.name}: cannot read `{self.text}`")


# MARK: Rendering

class Renderer:
    def __init__(self, chart, release="martlet", namespace="martlet", cluster=None, seed=1):
        """`cluster` has objects that `lookup` finds, by (kind, namespace, name)."""
        self.folder = pathlib.Path(chart)
        self.release, self.namespace, self.cluster = release, namespace, cluster or {}
        self.random = random.Random(seed)
        self.definitions, self.files, self.depth = {}, {}, 0
        for path in sorted((self.folder / "templates").glob("*")):
            reader = Reader(path.read_text(encoding="utf-8"), path.name)
            twice = self.definitions.keys() & reader.definitions.keys()
            if twice:
                raise ChartError(f"{path.name} defines {sorted(twice)} again")
            self.definitions.update(reader.definitions)
            self.files[path.name] = reader.tree
        self.functions = dict(
            FUNCTIONS, include=self.include, lookup=self.lookup, randAlphaNum=self.letters, randBytes=self.bytes)

    def data(self, values=None):
        """What templates see; values must fit the schema, with defaults and without, as Helm looks at them."""
        defaults = documents((self.folder / "values.yaml").read_text(encoding="utf-8"))[0]
        together = merged(defaults, values or {})
        schema = json.loads((self.folder / "values.schema.json").read_text(encoding="utf-8"))
        problems = sorted(jsonschema.Draft7Validator(schema).iter_errors(together), key=str)
        if problems:
            raise ChartError("values don't meet the schema: " + "; ".join(
                f"{'.'.join(map(str, problem.absolute_path))}: {problem.message}" for problem in problems))
        description = documents((self.folder / "Chart.yaml").read_text(encoding="utf-8"))[0]
        return {
            "Values": as_helm(together),
            "Release": {"Name": self.release, "Namespace": self.namespace, "Service": "Helm"},
            "Chart": {"Name": description["name"], "Version": description["version"],
                      "AppVersion": description["appVersion"]},
        }

    def render(self, values=None):
        """Texts by file."""
        top = dict(self.data(values), Files={"Get": self.file_text})
        self.variables = [{"$": top}]
        texts = {}
        for name, tree in self.files.items():
            self.file = name
            try:
                texts[name] = self.shown(tree, top)
            except (TypeError, KeyError, AttributeError) as error:
                raise ChartError(f"{name}: {type(error).__name__}: {error}") from error
        return {name: text for name, text in texts.items() if not name.startswith("_")}

    def objects(self, values=None):
        """The objects, in the order of their files."""
        found = []
        for name, text in self.render(values).items():
            if name.endswith(".yaml"):
                try:
                    found += documents(text)
                except yaml.YAMLError as error:
                    raise ChartError(f"{name} is no YAML: {error}\n{text}") from error
        return found

    def shown(self, nodes, dot):
        parts = []
        self.variables.append({})
        for node in nodes:
            if node[0] == "text":
                parts.append(node[1])
            elif node[0] == "show":
                value = self.run(node[1], dot)
                if not node[1].variables:
                    try:
                        parts.append(printed(value))
                    except ChartError as error:
                        raise ChartError(f"{node[1].name}: `{node[1].text}`: {error}") from None
            else:
                parts.append(self.branched(node, dot))
        self.variables.pop()
        return "".join(parts)

    def branched(self, node, dot):
        word, condition, body, otherwise = node
        self.variables.append({})
        try:
            if word == "range":
                items = self.value(condition.tree, dot)
                pairs = sorted(items.items()) if isinstance(items, dict) else list(enumerate(items or []))
                parts = []
                for key, item in pairs:
                    names = condition.variables
                    self.variables[-1].update(zip(names, [key, item] if len(names) == 2 else [item]))
                    parts.append(self.shown(body, item))
                return "".join(parts) if pairs else self.shown(otherwise, dot)
            value = self.run(condition, dot)
            if not is_true(value):
                return self.shown(otherwise, dot)
            return self.shown(body, value if word == "with" else dot)
        finally:
            self.variables.pop()

    def run(self, pipeline, dot):
        try:
            value = self.value(pipeline.tree, dot)
        except (TypeError, KeyError, AttributeError) as error:
            raise ChartError(f"{pipeline.name}: `{pipeline.text}`: {type(error).__name__}: {error}") from error
        for name in pipeline.variables:
            if pipeline.declares:
                self.variables[-1][name] = value
            else:
                self.scope(name)[name] = value
        return value

    def scope(self, name):
        for scope in reversed(self.variables):
            if name in scope:
                return scope
        raise ChartError(f"{self.file}: undefined variable {name}")

    def value(self, node, dot):
        kind = node[0]
        if kind == "value":
            return node[1]
        if kind == "dot":
            return dot
        if kind == "variable":
            return self.scope(node[1])[node[1]]
        if kind == "fields":
            value = self.value(node[1], dot)
            for name in node[2]:
                if not isinstance(value, dict):
                    raise ChartError(f"{self.file}: nil pointer or no map where .{'.'.join(node[2])} is evaluated")
                value = value.get(name)
            return value
        if kind == "method":
            method = self.value(node[1], dot)
            if not callable(method):
                raise ChartError(f"{self.file}: .{'.'.join(node[1][2])} is given arguments, and is no function")
            return method(*[self.value(argument, dot) for argument in node[2]])
        if node[1] in ("and", "or"):
            for argument in node[2]:
                value = self.value(argument, dot)
                if is_true(value) == (node[1] == "or"):
                    return value
            return value
        if node[1] not in self.functions:
            raise ChartError(f"{self.file}: function \"{node[1]}\" is not in the subset")
        return self.functions[node[1]](*[self.value(argument, dot) for argument in node[2]])

    def include(self, name, dot):
        if name not in self.definitions:
            raise ChartError(f"{self.file}: no template \"{name}\"")
        if self.depth >= CALL_LIMIT:
            raise ChartError(f"{self.file}: templates include each other without end")
        outer, self.variables, self.depth = self.variables, [{"$": dot}], self.depth + 1
        try:
            return self.shown(self.definitions[name], dot)
        finally:
            self.variables, self.depth = outer, self.depth - 1

    def file_text(self, name):
        """A file of the chart beside its templates; empty when it is not there."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def lookup(self, version, kind, namespace, name):
        return as_helm(self.cluster.get((kind, namespace, name), {}))

    def letters(self, count):
        return "".join(self.random.choice(string.ascii_letters + string.digits) for _ in range(count))

    def bytes(self, count):
        return base64.b64encode(self.random.randbytes(count)).decode()


def settings(words):
    """`--set a.b=1` as a map; a value is YAML."""
    result = {}
    for word in words:
        key, _, text = word.partition("=")
        table, *names = [result], *key.split(".")
        table = table[0]
        for name in names[:-1]:
            table = table.setdefault(name, {})
        table[names[-1]] = yaml.safe_load(text)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chart", default=str(ROOT / "deploy" / "chart"))
    parser.add_argument("--release", default="martlet")
    parser.add_argument("--namespace", default="martlet")
    parser.add_argument("--values", action="append", default=[])
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--notes", action="store_true", help="show the notes instead of the objects")
    options = parser.parse_args()
    values = {}
    for path in options.values:
        values = merged(values, documents(pathlib.Path(path).read_text(encoding="utf-8"))[0])
    values = merged(values, settings(options.set))
    renderer = Renderer(options.chart, options.release, options.namespace, seed=None)
    try:
        if options.notes:
            print(renderer.render(values)["NOTES.txt"])
        else:
            print(yaml.safe_dump_all(renderer.objects(values), sort_keys=False, width=110), end="")
    except ChartError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
