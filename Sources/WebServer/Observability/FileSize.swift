// The size of a file, for metrics.

import Glibc

enum FileSize {
    /// nil if the file cannot be seen.
    static func bytes(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }
}
