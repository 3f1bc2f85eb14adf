-- Runs: the workflow, its nodes, the effects that are still to be done, what happened, what was asked for.
-- Times are nanoseconds since 1970-01-01T00:00:00Z.

-- What lists and filters need, and nothing big: a row here is rewritten at every change of phase.
CREATE TABLE workflows (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE CHECK (uid <> ''),
    namespace TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    phase TEXT NOT NULL CHECK (phase IN ('', 'Pending', 'Running', 'Succeeded', 'Failed', 'Error')),
    message TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    labels TEXT NOT NULL CHECK (json_valid(labels)),
    annotations TEXT NOT NULL CHECK (json_valid(annotations)),
    -- Goes up when a process takes the run over; what an earlier driver still writes is refused.
    driver_epoch INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
    UNIQUE (namespace, name)
) STRICT;

CREATE INDEX workflows_by_creation ON workflows (created_at);
CREATE INDEX workflows_by_namespace ON workflows (namespace, created_at);
CREATE INDEX workflows_by_phase ON workflows (phase, created_at);
CREATE INDEX workflows_by_namespace_and_phase ON workflows (namespace, phase, created_at);
CREATE INDEX workflows_by_finish ON workflows (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE workflow_manifests (
    workflow INTEGER PRIMARY KEY REFERENCES workflows (id) ON DELETE CASCADE,
    manifest TEXT NOT NULL CHECK (json_valid(manifest))
) STRICT;

CREATE TABLE workflow_states (
    workflow INTEGER PRIMARY KEY REFERENCES workflows (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (json_valid(state))
) STRICT;

-- The labels once more, for selectors.
CREATE TABLE workflow_labels (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    PRIMARY KEY (key, value, workflow)
) STRICT, WITHOUT ROWID;

CREATE INDEX workflow_labels_by_workflow ON workflow_labels (workflow, key);

-- With a rowid: bodies are too long for an index tree, and nodes that change together lie together.
CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    name TEXT NOT NULL,
    phase TEXT NOT NULL
        CHECK (phase IN ('Pending', 'Running', 'Succeeded', 'Skipped', 'Failed', 'Error', 'Omitted')),
    type TEXT NOT NULL CHECK (type IN (
        'Pod', 'Container', 'Steps', 'StepGroup', 'DAG', 'TaskGroup', 'Retry', 'Skipped', 'Suspend', 'HTTP',
        'Plugin')),
    template_name TEXT NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    body TEXT NOT NULL CHECK (json_valid(body)),
    UNIQUE (workflow, node_id)
) STRICT;

-- Saved with the decision, deleted when done: what is left after a crash is done again.
CREATE TABLE effects (
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind <> ''),
    body TEXT NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (workflow, key)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT, here and below: a reader goes on after the last id it saw, so no id may come twice.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    node_id TEXT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind <> ''),
    message TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_workflow ON events (workflow, id);

-- Verbs from other processes. Without a foreign key: the answer to a delete outlives the run.
CREATE TABLE commands (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workflow_uid TEXT NOT NULL,
    verb TEXT NOT NULL CHECK (verb <> ''),
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    error TEXT
) STRICT;

CREATE INDEX commands_waiting ON commands (workflow_uid, id) WHERE done = 0;
