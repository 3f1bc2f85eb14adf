// A program whose output is taken piece by piece: archives that are sent while they are made, and never lie on a disk.

import Dispatch
import Glibc
import Synchronization

/// Runs until its output was read to the end or until nobody holds this any more.
package final class CommandPipe: Sendable {
    private let process: pid_t
    private let output: Int32
    private let program: String
    private let isReaped = Mutex(false)
    private let onEnd: @Sendable () -> Void

    /// - Parameters:
    ///   - command: what is run; what it says on standard error is not kept.
    ///   - onEnd: called once after the program has ended, however it did, on a thread that may wait.
    /// - Throws: as `CommandRun.run`; then `onEnd` is not called.
    package init(_ command: CommandRun, onEnd: @escaping @Sendable () -> Void = {}) throws(ArtifactError) {
        (process, output) = try command.startPiped()
        program = command.arguments.first ?? ""
        self.onEnd = onEnd
    }

    deinit {
        // What stops reading ends the program.
        close(output)
        let (process, isReaped, onEnd) = (process, isReaped.withLock { $0 }, onEnd)
        DispatchQueue.global(qos: .utility).async {
            if !isReaped {
                kill(-process, SIGKILL)
                while waitpid(process, nil, 0) < 0 && errno == EINTR {}
            }
            onEnd()
        }
    }

    /// The next bytes; none at the end. Blocks. For one reader at a time.
    /// - Throws: when the program fails, so that half an output is never taken for a whole one.
    package func read(limitBytes: Int) throws(ArtifactError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
            while count < limitBytes, let start = buffer.baseAddress {
                let length = Glibc.read(output, start + count, limitBytes - count)
                if length < 0 && errno == EINTR { continue }
                if length < 0 { failure = errno }
                if length <= 0 { break }
                count += length
            }
        }
        if failure != 0 { throw ArtifactError(errno: failure, path: program, while: "read from the program") }
        if bytes.isEmpty { try finish() }
        return bytes
    }

    private func finish() throws(ArtifactError) {
        let status = isReaped.withLock { isReaped -> Int32 in
            guard !isReaped else { return 0 }
            isReaped = true
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0 && errno == EINTR {}
            return status
        }
        guard status == 0 else {
            throw ArtifactError(.transfer, path: program, problem: "the program failed with status \(status)")
        }
    }
}
