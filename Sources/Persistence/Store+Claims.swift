// Taking over many runs at once: a server that starts finds thousands, and each would wait for the disk alone.

import GRDB

extension Store {
    /// `claimRun` of many runs in one transaction.
    /// - Returns: the new epochs; runs that are not there are left out.
    package func claimRuns(_ uids: [String]) async throws -> [String: Int] {
        try await write { database in
            var epochs: [String: Int] = [:]
            for uid in uids {
                let epoch = try database.integer(
                    "UPDATE workflows SET driver_epoch = driver_epoch + 1 WHERE uid = ? RETURNING driver_epoch",
                    [uid])
                if let epoch { epochs[uid] = Int(epoch) }
            }
            return epochs
        }
    }
}
