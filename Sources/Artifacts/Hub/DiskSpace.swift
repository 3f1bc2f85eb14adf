// What a file system has left, and what a file takes of it.

import Glibc

enum DiskSpace {
    /// What a user without privileges may still write to the file system of a path, which need not exist yet;
    /// nil when that cannot be told.
    static func freeBytes(_ path: String) -> Int? {
        var place = path
        for _ in 0..<64 where !Disk.exists(place) { place = Disk.parent(of: place) }
        var status = statvfs()
        guard statvfs(place, &status) == 0 else { return nil }
        let (bytes, overflowed) = Int(clamping: status.f_bavail)
            .multipliedReportingOverflow(by: Int(clamping: status.f_frsize))
        return overflowed ? .max : bytes
    }

    /// What a file takes on disk: less than its size where it has holes. 0 without one.
    static func allocatedBytes(_ path: String) -> Int {
        var status = stat()
        return lstat(path, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }
}
