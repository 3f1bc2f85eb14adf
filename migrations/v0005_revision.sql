-- Revisions: every change that a reader can see takes the next number of one counter, so that a stream of changes
-- goes on after a lost connection where it was.

ALTER TABLE workflows ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
-- The newest revision that took nodes away: a reader that stands before it needs all nodes anew.
ALTER TABLE workflows ADD COLUMN reset_revision INTEGER NOT NULL DEFAULT 0;
-- Nodes done and nodes in all: "3/5".
ALTER TABLE workflows ADD COLUMN progress TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

UPDATE workflows SET revision = id, reset_revision = id;

CREATE INDEX workflows_by_revision ON workflows (revision);
CREATE INDEX nodes_by_revision ON nodes (workflow, revision);

INSERT INTO counters (name, value) SELECT 'run_revision', ifnull(max(id), 0) FROM workflows;
-- The newest deletion that is no longer told: readers that stand before it begin anew.
INSERT INTO counters (name, value) VALUES ('forgotten_revision', 0);

CREATE TABLE workflow_deletions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL UNIQUE,
    uid TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL CHECK (json_valid(labels))
) STRICT;
