#!/usr/bin/env python3
"""Whether Martlet reads Parquet files as pyarrow, which wrote them, does: every variant of the fixtures, but larger.

    parquet_check.py [--martlet PATH] [--rows N] [--only WORD]... [--keep DIR]

Needs pyarrow. The program at PATH prints the rows of a file as JSON lines: `PATH internal-rows FILE`. Each row is
compared with pyarrow's reading, value by value and exactly. Each variant is written once with one row group and once
with several. Files that are refused must be refused by name. At last a file of about 100 MB of texts is read, and the
time is printed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "TablesTests", "Fixtures"))

import make_fixtures

# By how much the variants with deep values are smaller: pyarrow's own reading is slow, value by value.
SMALLER = {"lists": 4, "structures": 8, "maps": 8, "nothing": 2, "instructions": 4}


def read(program, path):
    """Martlet's rows, or its error."""
    result = subprocess.run([*program, path], capture_output=True)
    if result.returncode != 0:
        return None, (result.stderr + result.stdout).decode(errors="replace").strip()
    return [json.loads(line) for line in result.stdout.split(b"\n") if line], None


def first_difference(ours, theirs, place="row"):
    """Where two values differ, or None. Types count: 1 is not 1.0, and NaN is NaN."""
    if type(ours) is not type(theirs):
        return f"{place}: {ours!r} is not {theirs!r}"
    if isinstance(ours, dict):
        if list(ours) != list(theirs):
            return f"{place}: fields {list(ours)} are not {list(theirs)}"
        return next(filter(None, (first_difference(ours[key], theirs[key], f"{place}.{key}") for key in ours)), None)
    if isinstance(ours, list):
        if len(ours) != len(theirs):
            return f"{place}: {len(ours)} elements are not {len(theirs)}"
        pairs = enumerate(zip(ours, theirs))
        return next(filter(None, (first_difference(a, b, f"{place}[{index}]") for index, (a, b) in pairs)), None)
    if isinstance(ours, float):
        return None if repr(ours) == repr(theirs) else f"{place}: {ours!r} is not {theirs!r}"
    return None if ours == theirs else f"{place}: {ours!r} is not {theirs!r}"


def compare(program, path):
    """The number of rows and what is wrong, if anything."""
    ours, error = read(program, path)
    if error:
        return 0, error
    theirs = make_fixtures.shown_rows(path)
    if len(ours) != len(theirs):
        return len(theirs), f"{len(ours)} rows are not {len(theirs)}"
    # Rows that are equal are told so at once; the slow way finds the place, and sees 1 and 1.0, 0.0 and -0.0.
    for index, (a, b) in enumerate(zip(ours, theirs)):
        difference = first_difference(a, b, f"row {index}")
        if difference:
            return len(theirs), difference
    return len(theirs), None


def check_variants(program, directory, rows, words):
    failures = 0
    for name, make, arguments in make_fixtures.variants():
        if words and not any(word in name for word in words):
            continue
        count = rows // next((factor for word, factor in SMALLER.items() if word in name), 1)
        # The sizes of pages in the fixtures are for few rows.
        sizes = {key: value * 64 for key, value in arguments.items() if key in ("data_page_size", "write_batch_size")}
        table = make(count)
        for groups, size in (("one", None), ("several", count // 7 + 1)):
            path = os.path.join(directory, f"{name}_{groups}.parquet")
            pq.write_table(table, path, **(arguments | sizes | {"row_group_size": size}))
            found, problem = compare(program, path)
            print(f"{'ok  ' if not problem else 'FAIL'} {name}, row groups: {groups}, rows: {found}"
                  + (f": {problem[:300]}" if problem else ""), flush=True)
            failures += problem is not None
    return failures


def check_refusals(program):
    failures = 0
    directory = os.path.join(HERE, "..", "TablesTests", "Fixtures")
    for name in sorted(os.listdir(directory)):
        if not name.startswith("REFUSED_") or not name.endswith(".parquet"):
            continue
        word = name.split("_")[1].split(".")[0]
        _, error = read(program, os.path.join(directory, name))
        good = error is not None and word in error.lower()
        print(f"{'ok  ' if good else 'FAIL'} {name}: {error}")
        failures += not good
    return failures


def check_speed(program, directory):
    """A time, not a bound: machines differ."""
    chance = random.Random(1)
    words = ["".join(chance.choice("abcdefghijklmnop") for _ in range(chance.randrange(3, 12))) for _ in range(5000)]
    rows = 400_000
    table = pa.table({
        "question": [" ".join(chance.choices(words, k=30)) for _ in range(rows)],
        "choices": [chance.choices(words, k=4) for _ in range(rows)],
        "answer": [chance.randrange(4) for _ in range(rows)]})
    path = os.path.join(directory, "large.parquet")
    pq.write_table(table, path, compression="snappy")
    start = time.monotonic()
    found = subprocess.run([*program, "--count", path], capture_output=True, text=True)
    seconds = time.monotonic() - start
    megabytes = os.path.getsize(path) / 1e6
    print(f"     {megabytes:.0f} MB of texts, {rows} rows: {seconds:.2f} s")
    return int(found.stdout.strip() != str(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", default=os.path.join(HERE, "..", "..", ".build", "release", "martlet"))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", help="directory for the files, instead of one that is removed")
    arguments = parser.parse_args()
    program = [arguments.martlet, "internal-rows"]
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.keep or temporary
        failures = check_variants(program, directory, arguments.rows, arguments.only)
        if not arguments.only:
            failures += check_refusals(program) + check_speed(program, directory)
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
