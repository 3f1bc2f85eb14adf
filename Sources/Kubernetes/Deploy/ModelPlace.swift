// A model in the volume that the pods of a deployment share: fetched by the first of them, found by all
// others, also when the step that brought it has long ended.

import Artifacts
import Glibc

package enum ModelPlace {
    /// What was wrong, for the container's termination message.
    package struct Failure: Error, CustomStringConvertible, Sendable {
        package let description: String
    }

    /// Brings the inputs into `directory` unless they are there; blocks, and waits for another that does it.
    package static func fill(
        _ directory: String, _ companion: StepCompanion, inputs: [(name: String, path: String)]
    ) throws {
        let mark = directory + "/complete"
        if Disk.exists(mark) { return }
        try Disk.makeDirectories(directory)
        let lock = open(directory + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw ArtifactError(errno: errno, path: directory + "/lock", while: "open") }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else {
                throw Failure(
                    description:
                        "the volume at \(directory) knows no locks: \(String(cString: strerror(errno)))")
            }
        }
        if Disk.exists(mark) { return }
        try companion.prepare(inputs: inputs)
        try Disk.write([], to: mark)
    }
}
