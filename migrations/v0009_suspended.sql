-- Whether a run is suspended, so that lists look neither into its state nor through its nodes.

ALTER TABLE workflows ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1));
UPDATE workflows SET suspended = 1
    WHERE id IN (SELECT workflow FROM workflow_states WHERE json_extract(state, '$.suspended'));

-- The suspend nodes that wait: few, however many nodes there are.
CREATE INDEX nodes_suspended ON nodes (workflow) WHERE type = 'Suspend' AND phase = 'Running';
