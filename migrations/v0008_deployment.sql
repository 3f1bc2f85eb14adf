-- Models that are served, and models that runs have made.
-- Times are nanoseconds since 1970-01-01T00:00:00Z.

-- One name is one address, whatever the namespace. The body holds what is wanted and the history of revisions.
CREATE TABLE deployments (
    name TEXT PRIMARY KEY CHECK (name <> ''),
    namespace TEXT NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body)),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A row a version, which outlives its run: without foreign keys. AUTOINCREMENT: parents refer to ids.
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    version INTEGER NOT NULL CHECK (version > 0),
    -- model or adapter, as the artifact is named.
    kind TEXT NOT NULL CHECK (kind IN ('model', 'adapter')),
    -- The kind of the step that made it.
    step TEXT NOT NULL,
    -- Of the artifact's contents, and where they lie below `models` of the data directory.
    sha256 TEXT NOT NULL,
    place TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    workflow_uid TEXT NOT NULL,
    workflow TEXT NOT NULL,
    node_id TEXT NOT NULL,
    -- Parameters, inputs with their hashes, metrics, code version.
    body TEXT NOT NULL CHECK (json_valid(body)),
    created_at INTEGER NOT NULL,
    -- When garbage collection deleted the bytes; the row stays, for lineage.
    deleted_at INTEGER,
    UNIQUE (namespace, name, version),
    UNIQUE (workflow_uid, node_id, kind, sha256)
) STRICT;

CREATE INDEX models_by_sha256 ON models (sha256);
CREATE INDEX models_by_creation ON models (created_at);

CREATE TABLE model_parents (
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    parent INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    -- The input that it came in by: model, adapter, ref_model.
    role TEXT NOT NULL,
    PRIMARY KEY (model, parent, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX model_children ON model_parents (parent);

CREATE TABLE model_tags (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    tag TEXT NOT NULL CHECK (tag <> ''),
    model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    PRIMARY KEY (namespace, name, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX model_tags_by_model ON model_tags (model);

-- What evaluate steps found, by what they looked at.
CREATE TABLE model_evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of the model and, if there was one, of the adapter upon it.
    sha256 TEXT NOT NULL,
    adapter_sha256 TEXT NOT NULL,
    workflow_uid TEXT NOT NULL,
    workflow TEXT NOT NULL,
    node_id TEXT NOT NULL,
    template TEXT NOT NULL,
    metrics TEXT NOT NULL CHECK (json_valid(metrics)),
    created_at INTEGER NOT NULL,
    UNIQUE (workflow_uid, node_id)
) STRICT;

CREATE INDEX model_evaluations_by_sha256 ON model_evaluations (sha256);
