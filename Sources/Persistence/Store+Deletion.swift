// Deleting runs, however large, without keeping other writers waiting.

import GRDB
import Text

extension Store {
    /// How long a slice of a deletion keeps the database from other writers, about.
    static let deletionSlice = Duration.milliseconds(10)
    /// Rows that are deleted between two looks at the clock.
    static let deletionRows = 100

    /// Deletes a run and everything that hangs on it; a run that is not there is no error.
    ///
    /// The first transaction takes it out of all lists, frees its name and tells readers; the others take its rows
    /// away, a few milliseconds at a time. What a crash leaves behind is finished by `finishDeletions`.
    /// - Returns: whether there was one.
    @discardableResult
    package func deleteWorkflow(_ uid: String) async throws -> Bool {
        let key = try await write { database -> Int64? in
            guard let key = try database.integer("SELECT id FROM workflows WHERE uid = ?", [uid]) else {
                return nil
            }
            try database.hideWorkflow(key)
            return key
        }
        guard let key else { return false }
        try await removeRows(of: key)
        return true
    }

    /// Takes away what is left of runs whose deletion was cut off.
    /// - Returns: how many there were.
    @discardableResult
    package func finishDeletions() async throws -> Int {
        var count = 0
        // Each turn removes one, so that it ends unless runs are deleted faster than that.
        while let key = try await read({ try $0.hiddenWorkflow() }) {
            try Task.checkCancellation()
            try await removeRows(of: key)
            count += 1
        }
        return count
    }

    /// Deletes the rows of a hidden run in slices, the run's own row last.
    private func removeRows(of key: Int64) async throws {
        var isDone = false
        while !isDone {
            isDone = try await write { database in
                let clock = ContinuousClock()
                let end = clock.now + Self.deletionSlice
                repeat {
                    if try database.removeSomeRows(of: key, limit: Self.deletionRows) { return true }
                } while clock.now < end
                return false
            }
        }
    }
}

extension Database {
    /// A run that was hidden by `hideWorkflow` and is not gone yet.
    fileprivate func hiddenWorkflow() throws -> Int64? {
        try integer(
            "SELECT id FROM workflows WHERE created_at = ? LIMIT 1",
            [WorkflowConditions.deletedMoment.nanoseconds])
    }

    /// Takes a run out of everything that is looked for. Its row stays, under no name, at the far end of every
    /// index that lists walk, until the rows that hang on it are gone.
    func hideWorkflow(_ key: Int64) throws {
        try noteDeletion(of: key)
        try run(
            """
            INSERT INTO workflow_names (workflow_names, rowid, name)
            SELECT 'delete', id, name FROM workflows WHERE id = ?
            """, [key])
        for table in ["workflow_labels", "workflow_parameters", "workflow_lifetimes"] {
            try run("DELETE FROM \(table) WHERE workflow = ?", [key])
        }
        for table in ["lock_holders", "lock_waiters"] {
            try run(
                "DELETE FROM \(table) WHERE workflow_uid = (SELECT uid FROM workflows WHERE id = ?)", [key])
        }
        try run(
            """
            UPDATE workflows SET uid = 'deleted/' || id, namespace = '', name = 'deleted/' || id,
                created_at = ?, started_at = NULL, finished_at = NULL, revision = 0, archived = 0,
                driver_epoch = driver_epoch + 1
            WHERE id = ?
            """, [WorkflowConditions.deletedMoment.nanoseconds, key])
    }

    /// Deletes some rows of a hidden run.
    /// - Returns: whether nothing of it is left.
    fileprivate func removeSomeRows(of key: Int64, limit: Int) throws -> Bool {
        // Points hang on series, and a series may have millions.
        try run(
            """
            DELETE FROM metric_points WHERE (series, step) IN (
                SELECT series, step FROM metric_points
                WHERE series = (SELECT min(id) FROM metric_series WHERE workflow = ?) LIMIT ?)
            """, [key, limit])
        if changesCount > 0 { return false }
        for table in ["nodes", "events"] {
            try run(
                "DELETE FROM \(table) WHERE id IN (SELECT id FROM \(table) WHERE workflow = ? LIMIT ?)",
                [key, limit])
            if changesCount > 0 { return false }
        }
        try run(
            """
            DELETE FROM effects WHERE (workflow, key) IN (
                SELECT workflow, key FROM effects WHERE workflow = ? LIMIT ?)
            """, [key, limit])
        if changesCount > 0 { return false }
        try run(
            "DELETE FROM metric_series WHERE id = (SELECT min(id) FROM metric_series WHERE workflow = ?)",
            [key])
        if changesCount > 0 { return false }
        // Artifacts, manifest and state are few enough to go with the run.
        try run("DELETE FROM workflows WHERE id = ?", [key])
        return true
    }
}
