-- What a server needs beside runs: who may do what, what was done, what is still to be told, what cron has begun.

-- A new kind of definition. SQLite cannot change a CHECK, so the table is made anew; nothing refers to it.
CREATE TABLE new_definitions (
    kind TEXT NOT NULL CHECK (kind IN (
        'WorkflowTemplate', 'ClusterWorkflowTemplate', 'CronWorkflow', 'WorkflowEventBinding', 'ConfigMap',
        'Secret')),
    -- Empty for cluster templates, which belong to no namespace.
    namespace TEXT NOT NULL CHECK ((namespace = '') = (kind = 'ClusterWorkflowTemplate')),
    name TEXT NOT NULL CHECK (name <> ''),
    -- How the body is encrypted, and with which key; empty: not at all.
    encryption TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL CHECK (encryption <> '' OR json_valid(body)),
    status TEXT NOT NULL DEFAULT 'null' CHECK (json_valid(status)),
    generation INTEGER NOT NULL CHECK (generation > 0),
    resource_version INTEGER NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) STRICT;

INSERT INTO new_definitions SELECT * FROM definitions;
DROP TABLE definitions;
ALTER TABLE new_definitions RENAME TO definitions;

-- Which run was begun for which instant of a cron workflow. Outlives the run, so that no instant comes twice.
CREATE TABLE cron_instants (
    namespace TEXT NOT NULL,
    cron TEXT NOT NULL,
    instant INTEGER NOT NULL,
    workflow_uid TEXT NOT NULL,
    PRIMARY KEY (namespace, cron, instant)
) STRICT, WITHOUT ROWID;

-- Only a token's hash is kept.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY CHECK (id <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    sha256 TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
    roles TEXT NOT NULL CHECK (json_valid(roles)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    namespace TEXT NOT NULL,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    status INTEGER NOT NULL
) STRICT;

CREATE INDEX audit_by_namespace ON audit (namespace, id);

-- Without a foreign key: the end of a run is told although the run was deleted meanwhile.
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_uid TEXT NOT NULL,
    -- Tells the notifications of one run apart: noting one twice is noting it once.
    key TEXT NOT NULL,
    target TEXT NOT NULL CHECK (json_valid(target)),
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    last_error TEXT,
    done_at INTEGER,
    UNIQUE (workflow_uid, key)
) STRICT;

CREATE INDEX notifications_waiting ON notifications (next_attempt_at) WHERE done_at IS NULL;

CREATE TABLE settings (
    key TEXT PRIMARY KEY CHECK (key <> ''),
    value TEXT NOT NULL CHECK (json_valid(value))
) STRICT, WITHOUT ROWID;

-- Secrets lay here as they were, if there were any: what they left in the file is to be swept.
INSERT INTO settings (key, value)
    SELECT 'secrets.sweep', 'true' FROM counters WHERE name = 'resource_version' AND value > 0;
