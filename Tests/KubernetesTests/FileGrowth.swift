// Waiting for a file to come to a state, told by the kernel of each change in its folder.

import Artifacts
import Glibc

@testable import Kubernetes

/// Tells of changes of the files in one folder.
final class FileGrowth: Sendable {
    /// How often somebody who waits in vain looks whether it is to go on waiting.
    private static let patienceMilliseconds: Int32 = 500

    private let watch: Int32

    /// - Parameter path: of a file; its folder is made if it is not there.
    init(of path: String) throws {
        let folder = Disk.parent(of: path)
        try Disk.makeDirectories(folder)
        watch = inotify_init1(O_CLOEXEC | O_NONBLOCK)
        let mask = UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        guard watch >= 0, inotify_add_watch(watch, folder, mask) >= 0 else {
            throw ArtifactError(errno: errno, path: folder, while: "watch")
        }
    }

    deinit { close(watch) }

    /// Returns when the condition holds, or the task is cancelled. One caller.
    func wait(until holds: () -> Bool) async throws {
        while !holds(), !Task.isCancelled {
            try await BlockingCall.run { [watch] in
                var entry = pollfd(fd: watch, events: Int16(POLLIN), revents: 0)
                guard poll(&entry, 1, Self.patienceMilliseconds) > 0 else { return }
                var events = [UInt8](repeating: 0, count: 4096)
                while read(watch, &events, events.count) > 0 {}
            }
        }
    }
}
