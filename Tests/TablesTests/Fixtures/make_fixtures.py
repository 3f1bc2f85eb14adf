#!/usr/bin/env python3
"""Writes the small Parquet files that TablesTests reads, and beside each what is in it.

    make_fixtures.py [DIRECTORY]        (made with pyarrow 26.0.1)

For each variant NAME.parquet, and NAME.jsonl with its rows as `martlet internal-rows` prints them, by pyarrow's own
reading of the file (numbers that are not finite as null). REFUSED_*.parquet are files that are refused by name.
Tests/Interop/parquet_check.py takes the same variants with more rows.
"""

import base64
import datetime
import decimal
import json
import os
import random
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20261121
WORDS = ["", "a", "Eule", "naïve", "漢字", "The quick brown fox", "line\nbreak", 'quote " and \\', "🦉",
         "zero\0byte"]


class Chance:
    """Values of one seed, some of them missing."""

    def __init__(self, rows, nulls=0.2):
        self.random = random.Random(SEED)
        self.rows = rows
        self.nulls = nulls

    def maybe(self, value, nulls=None):
        return None if self.random.random() < (self.nulls if nulls is None else nulls) else value()

    def column(self, value, type, nulls=None):
        return pa.array([self.maybe(value, nulls) for _ in range(self.rows)], type)

    def word(self):
        return self.random.choice(WORDS)

    def sentence(self):
        return " ".join(self.random.choice(WORDS[1:6]) for _ in range(self.random.randrange(1, 12)))

    def integer(self, bits, signed=True):
        width = self.random.randrange(bits) + (0 if signed else 1)
        number = self.random.getrandbits(width) if width else 0
        return -number - 1 if signed and self.random.random() < 0.5 else number

    def some(self, value, most=4, nulls=0.2):
        return [self.maybe(value, nulls) for _ in range(self.random.randrange(most + 1))]


def scalars(rows, nulls=0.2):
    c = Chance(rows, nulls)
    return pa.table({
        "flag": c.column(lambda: c.random.random() < 0.5, pa.bool_()),
        "i32": c.column(lambda: c.integer(32), pa.int32()),
        "i64": c.column(lambda: c.integer(64), pa.int64()),
        "f32": c.column(lambda: c.random.gauss(0, 100), pa.float32()),
        "f64": c.column(lambda: c.random.gauss(0, 1e10), pa.float64()),
        "text": c.column(c.word, pa.string()),
    })


def required(table):
    return table.cast(pa.schema([field.with_nullable(False) for field in table.schema]))


def numbers(rows):
    c = Chance(rows)
    return pa.table({
        "i32": c.column(lambda: c.integer(32), pa.int32()),
        "i64": c.column(lambda: c.integer(64), pa.int64()),
        "near": pa.array([1000 + index * 3 + c.random.randrange(4) for index in range(rows)], pa.int64()),
        "u64": c.column(lambda: c.integer(64, False), pa.uint64()),
    })


def texts(rows):
    c = Chance(rows)
    return pa.table({
        "sorted": pa.array(sorted(f"prefix/{c.random.randrange(rows * 3):06}" for _ in range(rows))),
        "word": c.column(c.word, pa.string()),
        "fixed": c.column(lambda: c.random.randbytes(5), pa.binary(5)),
    })


def splittable(rows):
    c = Chance(rows)
    return pa.table({
        "f32": c.column(lambda: c.random.gauss(0, 1), pa.float32()),
        "f64": c.column(lambda: c.random.gauss(0, 1), pa.float64()),
        "i32": c.column(lambda: c.integer(32), pa.int32()),
        "i64": c.column(lambda: c.integer(64), pa.int64()),
        "fixed": c.column(lambda: c.random.randbytes(3), pa.binary(3)),
        "f16": c.column(lambda: c.random.gauss(0, 1), pa.float16()),
    })


def small_integers(rows):
    c = Chance(rows)
    columns = {}
    for bits in (8, 16, 32, 64):
        for signed in (True, False):
            name = f"{'' if signed else 'u'}int{bits}"
            columns[name] = c.column(lambda: c.integer(bits, signed), getattr(pa, name)())
    return pa.table(columns)


def extremes(rows):
    edge = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308]
    take = lambda values: [values[index % len(values)] for index in range(rows)]
    return pa.table({
        "i32": pa.array(take([-2**31, 2**31 - 1, 0]), pa.int32()),
        "i64": pa.array(take([-2**63, 2**63 - 1, 0]), pa.int64()),
        "u32": pa.array(take([2**32 - 1, 0]), pa.uint32()),
        "u64": pa.array(take([2**64 - 1, 2**63, 2**63 - 1, 0]), pa.uint64()),
        "f64": pa.array(take(edge), pa.float64()),
        "text": pa.array(take(["", "x" * 300, None])),
    })


def moments(rows):
    c = Chance(rows)
    columns = {}
    for unit, scale in (("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        for zone in (None, "UTC", "Asia/Shanghai"):
            seconds = lambda: c.random.randrange(-9_000_000_000, 9_000_000_000)
            moment = lambda: seconds() * scale + c.random.choice([0, 1, scale // 2, scale - 1])
            columns[f"{unit}_{zone}"] = c.column(moment, pa.timestamp(unit, zone))
    return pa.table(columns)


def old_moments(rows):
    c = Chance(rows)
    return pa.table({"t": c.column(lambda: c.random.randrange(-9 * 10**18, 9 * 10**18), pa.timestamp("ns"))})


def calendar(rows):
    c = Chance(rows)
    return pa.table({
        "date": c.column(lambda: c.random.randrange(-719_162, 2_932_896), pa.date32()),
        "date64": c.column(lambda: 86_400_000 * c.random.randrange(-719_162, 2_932_896), pa.date64()),
        "time_ms": c.column(lambda: c.random.randrange(86_400_000), pa.time32("ms")),
        "time_us": c.column(lambda: c.random.randrange(86_400_000_000), pa.time64("us")),
        "time_ns": c.column(lambda: c.random.randrange(86_400_000_000_000), pa.time64("ns")),
        "span": c.column(lambda: c.integer(60), pa.duration("us")),
    })


def decimals(rows):
    c = Chance(rows)

    def number(precision, scale):
        digits = c.random.randrange(10 ** c.random.randrange(1, precision + 1))
        sign = c.random.choice([0, 1])
        return decimal.Decimal((sign, tuple(int(digit) for digit in str(digits)), -scale))

    shapes = [(4, 2), (9, 0), (18, 5), (38, 10), (38, 38)]
    columns = {f"d{p}_{s}": c.column(lambda: number(p, s), pa.decimal128(p, s)) for p, s in shapes}
    columns["d76_20"] = c.column(lambda: number(76, 20), pa.decimal256(76, 20))
    return pa.table(columns)


def binaries(rows):
    c = Chance(rows)
    identifier = pa.array(
        [c.maybe(lambda: c.random.randbytes(16)) for _ in range(rows)], pa.binary(16))
    return pa.table({
        "bytes": c.column(lambda: c.random.randbytes(c.random.randrange(8)), pa.binary()),
        "text": c.column(lambda: c.word().encode(), pa.binary()),
        "fixed": c.column(lambda: c.random.randbytes(4), pa.binary(4)),
        "uuid": pa.ExtensionArray.from_storage(pa.uuid(), identifier),
        "half": c.column(lambda: c.random.gauss(0, 10), pa.float16()),
        "json": pa.ExtensionArray.from_storage(
            pa.json_(), c.column(lambda: json.dumps({"a": c.word()}), pa.string())),
    })


def lists(rows):
    c = Chance(rows)
    return pa.table({
        "words": c.column(lambda: c.some(c.word), pa.list_(pa.string())),
        "numbers": c.column(lambda: c.some(lambda: c.integer(20)), pa.list_(pa.int64()), 0),
        "exact": c.column(
            lambda: c.some(lambda: c.integer(20), nulls=0), pa.list_(pa.field("item", pa.int32(), nullable=False))),
        "nested": c.column(
            lambda: c.some(lambda: c.some(lambda: c.some(c.word, 2), 3)), pa.list_(pa.list_(pa.list_(pa.string())))),
        "pair": c.column(lambda: [c.integer(8), c.integer(8)], pa.list_(pa.int32(), 2), 0),
        "large": c.column(lambda: c.some(c.word), pa.large_list(pa.large_string())),
    })


def structures(rows):
    c = Chance(rows)
    inner = pa.struct([("x", pa.int32()), ("y", pa.string())])
    part = lambda: {"x": c.maybe(lambda: c.integer(10)), "y": c.maybe(c.word)}
    return pa.table({
        "plain": c.column(part, inner),
        "lists": c.column(
            lambda: {"text": c.maybe(lambda: c.some(c.word)), "label": c.maybe(lambda: c.some(c.word))},
            pa.struct([("text", pa.list_(pa.string())), ("label", pa.list_(pa.string()))])),
        "parts": c.column(lambda: c.some(part), pa.list_(inner)),
        "deep": c.column(
            lambda: {"a": c.maybe(lambda: {"b": c.maybe(lambda: c.some(
                lambda: {"c": c.maybe(part), "d": c.some(lambda: c.some(lambda: c.integer(5), 2), 2)}))})},
            pa.struct([("a", pa.struct([("b", pa.list_(pa.struct(
                [("c", inner), ("d", pa.list_(pa.list_(pa.int64())))])))]))])),
    })


def maps(rows):
    c = Chance(rows)
    pairs = lambda value: [(f"{c.word()}{index}", c.maybe(value)) for index in range(c.random.randrange(4))]
    return pa.table({
        "counts": c.column(lambda: pairs(lambda: c.integer(9)), pa.map_(pa.string(), pa.int32())),
        "lists": c.column(
            lambda: pairs(lambda: c.some(c.word)), pa.map_(pa.string(), pa.list_(pa.string()))),
        "list_of_maps": c.column(
            lambda: c.some(lambda: pairs(c.word)), pa.list_(pa.map_(pa.string(), pa.string()))),
    })


def nothing(rows):
    return pa.table({
        "null": pa.nulls(rows),
        "i64": pa.nulls(rows, pa.int64()),
        "text": pa.nulls(rows, pa.string()),
        "list": pa.nulls(rows, pa.list_(pa.string())),
        "structure": pa.array([{"a": None}] * rows, pa.struct([("a", pa.list_(pa.int32()))])),
        "empty": pa.array([[]] * rows, pa.list_(pa.struct([("x", pa.int32())]))),
    })


def mmlu(rows):
    c = Chance(rows, 0)
    return pa.table({
        "question": c.column(c.sentence, pa.string()),
        "subject": c.column(lambda: c.random.choice(["abstract_algebra", "anatomy"]), pa.string()),
        "choices": c.column(lambda: [c.sentence() for _ in range(4)], pa.list_(pa.string())),
        "answer": c.column(lambda: c.random.randrange(4), pa.int64()),
    })


def arc(rows):
    c = Chance(rows, 0)
    choices = lambda: (lambda n: {"text": [c.sentence() for _ in range(n)], "label": list("ABCDE"[:n])})(
        c.random.randrange(3, 6))
    return pa.table({
        "id": pa.array([f"Mercury_{index}" for index in range(rows)]),
        "question": c.column(c.sentence, pa.string()),
        "choices": c.column(choices, pa.struct([("text", pa.list_(pa.string())), ("label", pa.list_(pa.string()))])),
        "answerKey": c.column(lambda: c.random.choice("ABCD1234"), pa.string()),
    })


def hellaswag(rows):
    c = Chance(rows, 0)
    text = lambda: c.column(c.sentence, pa.string())
    return pa.table({
        "ind": pa.array(range(rows), pa.int32()), "activity_label": text(), "ctx_a": text(), "ctx_b": text(),
        "ctx": text(), "endings": c.column(lambda: [c.sentence() for _ in range(4)], pa.list_(pa.string())),
        "source_id": text(), "split": text(),
        "label": c.column(lambda: c.random.choice(["0", "1", "2", "3", ""]), pa.string()),
    })


def instructions(rows):
    c = Chance(rows, 0)
    options = pa.struct([("num_words", pa.int64()), ("relation", pa.string()), ("keywords", pa.list_(pa.string()))])
    option = lambda: {"num_words": c.maybe(lambda: c.integer(8), 0.7), "relation": c.maybe(c.word, 0.7),
                      "keywords": c.maybe(lambda: c.some(c.word, nulls=0), 0.7)}
    return pa.table({
        "key": pa.array(range(rows), pa.int64()), "prompt": c.column(c.sentence, pa.string()),
        "instruction_id_list": c.column(lambda: c.some(c.word, nulls=0), pa.list_(pa.string())),
        "kwargs": c.column(lambda: c.some(option, nulls=0), pa.list_(options)),
    })


def dictionaries(rows):
    c = Chance(rows)
    table = scalars(rows)
    return table.append_column("category", c.column(c.word, pa.string()).dictionary_encode())


def variants():
    """Name, function that makes a table of so many rows, arguments of `pyarrow.parquet.write_table`."""
    plain = {"use_dictionary": False, "compression": "none"}
    encoded = lambda **columns: {"use_dictionary": False, "compression": "zstd", "column_encoding": columns}
    delta = "DELTA_BINARY_PACKED"
    split = "BYTE_STREAM_SPLIT"
    return [
        ("plain", scalars, plain),
        ("plain_required", lambda rows: required(scalars(rows, 0)), plain),
        ("plain_v2", scalars, plain | {"data_page_version": "2.0"}),
        ("snappy", scalars, {"compression": "snappy"}),
        ("snappy_v2", scalars, {"compression": "snappy", "data_page_version": "2.0"}),
        ("gzip", scalars, {"compression": "gzip"}),
        ("gzip_v2_lists", lists, {"compression": "gzip", "data_page_version": "2.0"}),
        ("zstd", scalars, {"compression": "zstd"}),
        ("lz4", scalars, {"compression": "lz4"}),
        ("format_1_0", scalars, {"version": "1.0"}),
        ("spark", scalars, {"flavor": "spark"}),
        ("checksums", scalars, {"write_page_checksum": True, "compression": "zstd"}),
        ("page_index", scalars, {"write_page_index": True}),
        ("small_pages", scalars, {"data_page_size": 32, "write_batch_size": 4}),
        ("small_pages_v2_lists", lists,
         {"data_page_size": 32, "write_batch_size": 4, "data_page_version": "2.0"}),
        ("dictionary_falls_back", texts,
         {"dictionary_pagesize_limit": 64, "data_page_size": 64, "write_batch_size": 4}),
        ("dictionary_type", dictionaries, {"compression": "zstd"}),
        ("row_groups", mmlu, {"row_group_size": 7}),
        ("no_rows", lambda rows: lists(0), {}),
        ("no_arrow_schema", structures, {"store_schema": False}),
        ("delta_numbers", numbers, encoded(i32=delta, i64=delta, near=delta, u64=delta)),
        ("delta_lengths", texts, encoded(sorted="DELTA_LENGTH_BYTE_ARRAY", word="DELTA_LENGTH_BYTE_ARRAY")),
        ("delta_texts", texts,
         encoded(sorted="DELTA_BYTE_ARRAY", word="DELTA_BYTE_ARRAY", fixed="DELTA_BYTE_ARRAY")),
        ("split_streams", splittable, encoded(f32=split, f64=split, i32=split, i64=split, fixed=split, f16=split)),
        ("runs_of_booleans", scalars, encoded(flag="RLE") | {"data_page_version": "2.0"}),
        ("small_integers", small_integers, {}),
        ("extremes", extremes, plain),
        ("moments", moments, {"compression": "zstd"}),
        ("moments_int96", old_moments, {"use_deprecated_int96_timestamps": True}),
        ("calendar", calendar, {}),
        ("decimals", decimals, {}),
        ("decimals_as_integers", decimals, {"store_decimal_as_integer": True}),
        ("binaries", binaries, {}),
        ("lists", lists, {}),
        ("lists_of_items", lists, {"use_compliant_nested_type": False}),
        ("structures", structures, {"compression": "zstd"}),
        ("structures_v2", structures, {"data_page_version": "2.0"}),
        ("maps", maps, {}),
        ("nothing", nothing, {}),
        ("nothing_v2", nothing, {"data_page_version": "2.0"}),
        ("mmlu", mmlu, {}),
        ("arc", arc, {}),
        ("hellaswag", hellaswag, {}),
        ("instructions", instructions, {}),
    ]


def fraction(number, per_second):
    digits = str(per_second + number % per_second)[1:].rstrip("0")
    return "." + digits if digits else ""


def clock(seconds):
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def moment(number, unit, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    day, second = divmod(number // per_second, 86_400)
    date = datetime.date.fromordinal(719_163 + day).isoformat()
    return f"{date}T{clock(second)}{fraction(number, per_second)}{'Z' if zone else ''}"


def shown(value):
    """A pyarrow scalar as Martlet writes it in JSON."""
    kind, types = value.type, pa.types
    if isinstance(value, pa.DictionaryScalar):
        return shown(value.value)
    if not value.is_valid:
        return None
    if isinstance(value, pa.ExtensionScalar):
        return str(value.as_py()) if kind == pa.uuid() else shown(value.value)
    if types.is_map(kind):
        return [{"key": shown(pair["key"]), "value": shown(pair["value"])} for pair in value.values]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return [shown(element) for element in value.values]
    if types.is_struct(kind):
        return {field.name: shown(value[index]) for index, field in enumerate(kind)}
    if types.is_decimal(kind):
        return format(value.as_py(), "f")
    if types.is_timestamp(kind):
        return moment(value.value, kind.unit, kind.tz)
    if types.is_time(kind):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return clock(value.value // per_second) + fraction(value.value, per_second)
    if types.is_duration(kind):
        return value.value
    if types.is_date(kind):
        return value.as_py().isoformat()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        try:
            return value.as_py().decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value.as_py()).decode()}
    if types.is_uint64(kind) and value.as_py() >= 2**63:
        return str(value.as_py())
    return value.as_py()


def shown_rows(path):
    table = pq.read_table(path)
    columns = [[shown(value) for value in column] for column in table.columns]
    names = table.column_names
    return [dict(zip(names, row)) for row in zip(*columns)] if columns else []


def finite(value):
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if isinstance(value, list):
        return [finite(element) for element in value]
    if isinstance(value, dict):
        return {key: finite(element) for key, element in value.items()}
    return value


def write_encrypted(path, table, plaintext_footer):
    """A file under Parquet's own encryption, its keys kept by a service that only pretends."""
    import pyarrow.parquet.encryption as pe

    class Keys(pe.KmsClient):
        def __init__(self, _):
            pe.KmsClient.__init__(self)

        def wrap_key(self, key, _):
            return base64.b64encode(key)

        def unwrap_key(self, key, _):
            return base64.b64decode(key)

    factory = pe.CryptoFactory(lambda configuration: Keys(configuration))
    settings = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": ["i32"]}, plaintext_footer=plaintext_footer)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name, make, arguments in variants():
        path = os.path.join(directory, name + ".parquet")
        pq.write_table(make(12), path, **arguments)
        with open(os.path.join(directory, name + ".jsonl"), "w", encoding="utf-8") as file:
            for row in shown_rows(path):
                file.write(json.dumps(finite(row), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")
    few = scalars(3).select(["i32", "text"])
    pq.write_table(few, os.path.join(directory, "REFUSED_brotli.parquet"), compression="brotli")
    write_encrypted(os.path.join(directory, "REFUSED_encrypted.parquet"), few, False)
    write_encrypted(os.path.join(directory, "REFUSED_encrypted_columns.parquet"), few, True)


if __name__ == "__main__":
    main()
