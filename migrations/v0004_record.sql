-- What runs leave behind: artifacts and metrics.

CREATE TABLE artifacts (
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    location TEXT NOT NULL CHECK (json_valid(location)),
    bytes INTEGER CHECK (bytes >= 0),
    sha256 TEXT,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (workflow, node_id, name)
) STRICT;

CREATE INDEX artifacts_by_content ON artifacts (sha256) WHERE sha256 IS NOT NULL AND deleted_at IS NULL;

-- A curve; its name is written once, not at every point.
CREATE TABLE metric_series (
    id INTEGER PRIMARY KEY,
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    UNIQUE (workflow, node_id, name, attempt)
) STRICT;

-- A value is null where the step reported NaN, which SQLite cannot keep.
CREATE TABLE metric_points (
    series INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
    step REAL NOT NULL,
    value REAL,
    at INTEGER NOT NULL,
    PRIMARY KEY (series, step)
) STRICT, WITHOUT ROWID;
