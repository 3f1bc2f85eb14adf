// SQLite's write-ahead log as a file: how much of it counts, and keeping that little. Whoever opens a database that
// nobody else has open reads every frame of the log that counts before the first statement.

import GRDB
import Glibc

/// The first bytes of a database file; see "The Database Header" of SQLite's file format.
struct DatabaseHead {
    /// Whether the file was in the mode with a log when it was last closed.
    let isLogged: Bool

    init(_ descriptor: Int32) {
        var bytes = [UInt8](repeating: 0, count: 20)
        isLogged = pread(descriptor, &bytes, 20, 0) == 20 && bytes[18] == 2 && bytes[19] == 2
    }
}

/// The log beside a database; see "The WAL File Format" of SQLite's file format.
enum LogFile {
    /// Frames that a process which is done leaves to be read: a third of a millisecond's work.
    static let frameLimit = 200
    private static let headBytes = 32
    private static let frameHeadBytes = 24

    /// Whether there is a log with something in it.
    static func isBegun(_ database: String) -> Bool {
        var status = stat()
        return stat(database + "-wal", &status) == 0 && status.st_size > headBytes
    }

    /// The frames that belong to the log's present turn; what lies behind them is left of an earlier one. 0 where it
    /// cannot be read.
    static func frames(_ database: String) -> Int {
        // SQLite keeps its locks on other files, so closing this one here takes none of them away.
        let descriptor = open(database + "-wal", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: headBytes)
        var status = stat()
        guard fstat(descriptor, &status) == 0, pread(descriptor, &head, headBytes, 0) == headBytes else {
            return 0
        }
        let pageBytes = head[8..<12].reduce(0) { $0 << 8 | Int($1) }
        guard pageBytes > 0 else { return 0 }
        let frameBytes = frameHeadBytes + pageBytes
        func counts(_ frame: Int) -> Bool {
            var salt = [UInt8](repeating: 0, count: 8)
            let place = headBytes + frame * frameBytes + 8
            return pread(descriptor, &salt, 8, off_t(place)) == 8 && salt == Array(head[16..<24])
        }
        // Those that count stand first.
        var (low, high) = (0, (Int(status.st_size) - headBytes) / frameBytes)
        while low < high {
            let middle = (low + high) / 2
            if counts(middle) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Store {
    /// Empties the log if it is long, for a process that is done: moves it into the database and begins anew, so that
    /// the next process has little to read when it opens this. Waits for nobody: where others read or write now, the
    /// log stays as it is.
    package func shortenLog() async throws {
        guard !isReadOnly, LogFile.frames(path) > LogFile.frameLimit else { return }
        try await call {
            try await onThreadOfItsOwn { [self] in
                try pool.writeWithoutTransaction { database in
                    let result = try database.checkpoint(.passive)
                    guard result.walFrameCount == result.checkpointedFrameCount else { return }
                    try checkSchema(database)
                    // The next write begins the log anew; this one is the smallest there is.
                    try database.execute(sql: "PRAGMA user_version = \(schemaVersion)")
                }
            }
        }
    }
}
