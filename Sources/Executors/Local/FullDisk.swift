// A full disk is waited out: what cannot be written now is tried again, and no step is blamed for it.

import Artifacts
import Glibc

enum FullDisk {
    /// Between two tries.
    static let pauseMicroseconds: UInt32 = 250_000
    /// Below this a file system is full for our purposes: no file of an attempt is much smaller.
    private static let leastBytes: UInt64 = 64 << 10

    /// Whether an error came from a full disk. Errors that carry words only are judged by the disk itself.
    static func caused(_ error: any Error, dataDirectory: String) -> Bool {
        if let error = error as? ArtifactError { return error.kind == .noSpace }
        if let error = error as? StepInputs.Failure {
            return caused(error.cause, dataDirectory: dataDirectory)
        }
        if let error = error as? StepOutputs.Failure, error.isInfrastructure { return isNow(dataDirectory) }
        return (error as? SupervisorClient.Failure).map { mentionsSpace($0.description) } ?? false
    }

    /// Whether a supervisor that could not start said so.
    static func mentionsSpace(_ text: String) -> Bool {
        [ENOSPC, EDQUOT].contains { text.contains(String(cString: strerror($0))) }
    }

    /// Whether the disk of the data directory has no room at this moment.
    static func isNow(_ dataDirectory: String) -> Bool {
        var status = statvfs()
        guard statvfs(dataDirectory, &status) == 0 else { return false }
        let isOutOfFiles = status.f_files > 0 && status.f_favail == 0
        return UInt64(status.f_bavail) * UInt64(status.f_frsize) < leastBytes || isOutOfFiles
    }
}
