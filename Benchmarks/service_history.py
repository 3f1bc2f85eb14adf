"""A history to measure with: one real run, copied in the database as often as wanted, under other names and times."""

import os
import sqlite3
import uuid


def copy_runs(data_directory, count, days=30):
    """Copies the only run of a stopped server's data directory `count` times, over the last days."""
    database = sqlite3.connect(os.path.join(data_directory, "martlet.db"), isolation_level=None)
    database.execute("PRAGMA foreign_keys = OFF")
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")] for table in tables}
    old = dict(zip(columns["workflows"], database.execute("SELECT * FROM workflows").fetchone()))
    parts = {
        table: [dict(zip(names, row)) for row in database.execute(
            f"SELECT * FROM {table} WHERE workflow = ?", [old["id"]])]
        for table, names in columns.items() if "workflow" in names and table != "workflows"}
    counters = "('resource_version', 'run_revision')"
    top = database.execute(f"SELECT max(value) FROM counters WHERE name IN {counters}").fetchone()[0] or 0
    step = days * 86_400 * 1_000_000_000 // max(1, count)
    database.execute("BEGIN")
    for number in range(count):
        identity, name = str(uuid.UUID(int=number + (4 << 76) + (8 << 60))), f"{old['name']}-{number:06d}"

        def renamed(value):
            if not isinstance(value, str):
                return value
            return value.replace(old["uid"], identity).replace(old["name"], name)

        shift = step * (count - number)
        row = {key: renamed(value) for key, value in old.items()}
        row["id"] = old["id"] + 1 + number
        for key in ("created_at", "started_at", "finished_at"):
            row[key] = old[key] - shift
        row["phase"] = "Error" if number % 50 == 0 else "Failed" if number % 12 == 0 else "Succeeded"
        if "revision" in row:
            row["revision"] = top + 1 + number
        insert(database, "workflows", row)
        for table, rows in parts.items():
            for part in rows:
                copied = {key: renamed(value) for key, value in part.items()}
                copied["workflow"] = row["id"]
                if "revision" in copied:
                    copied["revision"] = row["revision"]
                if "id" in copied and table != "workflows":
                    del copied["id"]
                for key in ("created_at", "started_at", "finished_at"):
                    if isinstance(copied.get(key), int):
                        copied[key] -= shift
                insert(database, table, copied)
        database.execute("INSERT INTO workflow_names (rowid, name) VALUES (?, ?)", [row["id"], row["name"]])
    database.execute(f"UPDATE counters SET value = ? WHERE name IN {counters}", [top + count + 1])
    database.execute("COMMIT")
    database.execute("ANALYZE")
    database.close()


def insert(database, table, row):
    places = ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))
