-- What outlives runs and is shared by them: definitions, the memoization cache.

CREATE TABLE definitions (
    kind TEXT NOT NULL CHECK (kind IN (
        'WorkflowTemplate', 'ClusterWorkflowTemplate', 'CronWorkflow', 'ConfigMap', 'Secret')),
    -- Empty for cluster templates, which belong to no namespace.
    namespace TEXT NOT NULL CHECK ((namespace = '') = (kind = 'ClusterWorkflowTemplate')),
    name TEXT NOT NULL CHECK (name <> ''),
    -- How the body is encrypted; empty: not at all, which is how Secrets lie here so far.
    encryption TEXT NOT NULL DEFAULT '',
    body TEXT NOT NULL CHECK (encryption <> '' OR json_valid(body)),
    status TEXT NOT NULL DEFAULT 'null' CHECK (json_valid(status)),
    generation INTEGER NOT NULL CHECK (generation > 0),
    resource_version INTEGER NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) STRICT;

-- Counts on across deletions: a version seen once never names other contents.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('resource_version', 0);

CREATE TABLE cache_entries (
    namespace TEXT NOT NULL,
    cache TEXT NOT NULL,
    key TEXT NOT NULL,
    node_id TEXT NOT NULL,
    outputs TEXT NOT NULL CHECK (json_valid(outputs)),
    created_at INTEGER NOT NULL,
    last_hit_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, cache, key)
) STRICT;
