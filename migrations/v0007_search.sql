-- Lists over many runs: each filter is a range of an index that is in the lists' own order. Filled from the runs
-- that are there already by the code that runs this file.

-- The labels once more, for selectors; with the run's age, so that a range is in the order of lists.
CREATE TABLE new_labels (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    PRIMARY KEY (key, value, created_at, workflow)
) STRICT, WITHOUT ROWID;

INSERT INTO new_labels (key, value, created_at, workflow)
    SELECT key, value, created_at, workflow FROM workflow_labels JOIN workflows ON workflows.id = workflow;
DROP TABLE workflow_labels;
ALTER TABLE new_labels RENAME TO workflow_labels;
CREATE INDEX workflow_labels_by_workflow ON workflow_labels (workflow, key);

-- The arguments of runs, long values cut.
CREATE TABLE workflow_parameters (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    workflow INTEGER NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    -- The place in the run's list of arguments.
    position INTEGER NOT NULL,
    PRIMARY KEY (name, value, created_at, workflow)
) STRICT, WITHOUT ROWID;

CREATE INDEX workflow_parameters_by_workflow ON workflow_parameters (workflow, position);

-- Runs that shall be deleted some time after their end; the lifetimes are seconds.
CREATE TABLE workflow_lifetimes (
    workflow INTEGER PRIMARY KEY REFERENCES workflows (id) ON DELETE CASCADE,
    after_success INTEGER,
    after_failure INTEGER,
    -- Known when the run has ended.
    expires_at INTEGER
) STRICT;

CREATE INDEX workflow_lifetimes_ending ON workflow_lifetimes (expires_at) WHERE expires_at IS NOT NULL;

-- Parts of names, three letters or longer. Without contents of its own: a row is the name of the run of its rowid.
CREATE VIRTUAL TABLE workflow_names USING fts5 (name, content = '', tokenize = 'trigram');
INSERT INTO workflow_names (rowid, name) SELECT id, name FROM workflows;

DROP INDEX workflows_by_finish;
CREATE INDEX workflows_by_finish ON workflows (finished_at, phase, namespace) WHERE finished_at IS NOT NULL;
CREATE INDEX workflows_archived ON workflows (created_at) WHERE archived = 1;
