-- Mutexes and semaphores, across runs and processes. The node id is empty where the workflow itself holds or
-- waits.

CREATE TABLE lock_holders (
    key TEXT NOT NULL,
    workflow_uid TEXT NOT NULL REFERENCES workflows (uid) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    PRIMARY KEY (key, workflow_uid, node_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX lock_holders_by_workflow ON lock_holders (workflow_uid, node_id);

CREATE TABLE lock_waiters (
    key TEXT NOT NULL,
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    workflow_uid TEXT NOT NULL REFERENCES workflows (uid) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    PRIMARY KEY (key, workflow_uid, node_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX lock_waiters_in_order
    ON lock_waiters (key, priority DESC, created_at, sequence, workflow_uid, node_id);
CREATE INDEX lock_waiters_by_workflow ON lock_waiters (workflow_uid, node_id);

CREATE TABLE lock_limits (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;
