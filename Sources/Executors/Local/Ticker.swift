// A thread that does something once a second, only while there is something to do.

import Artifacts
import Glibc
import Synchronization

final class Ticker: Sendable {
    private static let milliseconds: Int32 = 1000

    private let reader: Int32
    private let writer: Int32
    private let isStopped = Mutex(false)
    private let work: @Sendable () -> Bool

    /// - Parameter work: called on the ticker's thread; false puts it to sleep until `wake`.
    init(work: @escaping @Sendable () -> Bool) throws {
        self.work = work
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw SupervisorClient.Failure(
                description: "no pipe can be made: \(String(cString: strerror(errno)))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (reader, writer) = (ends[0], ends[1])
        let error = SystemThread.start(run)
        guard error == 0 else {
            throw SupervisorClient.Failure(
                description: "no thread can be started: \(String(cString: strerror(error)))")
        }
    }

    deinit {
        close(reader)
        close(writer)
    }

    func wake() {
        var byte: UInt8 = 0
        _ = write(writer, &byte, 1)
    }

    func stop() {
        isStopped.withLock { $0 = true }
        wake()
    }

    @Sendable private func run() {
        var isBusy = false
        var bytes = [UInt8](repeating: 0, count: 256)
        while true {
            var polled = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
            let count = poll(&polled, 1, isBusy ? Self.milliseconds : -1)
            if isStopped.withLock({ $0 }) { return }
            if count > 0 {
                _ = read(reader, &bytes, bytes.count)
                // What was just started has a second to itself.
                isBusy = true
                continue
            }
            isBusy = work()
        }
    }
}
