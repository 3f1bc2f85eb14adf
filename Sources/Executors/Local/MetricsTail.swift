// Follows the file in which a step notes its metrics, one JSON object a line.

import Artifacts
import Glibc
package import Scheduling
package import Text

/// One line of a step's metrics file.
package struct MetricSample: Sendable, Hashable {
    package var key: AttemptKey
    /// Where the line ends in the file, in bytes. With the key it names the sample: one that comes twice has
    /// the same offset.
    package var endOffset: Int
    /// An object such as `{"step": 10, "loss": 2.1}`.
    package var values: JSONValue

    package init(key: AttemptKey, endOffset: Int, values: JSONValue) {
        self.key = key
        self.endOffset = endOffset
        self.values = values
    }
}

/// Reads whole lines from a byte offset on.
package struct MetricsTail {
    /// A longer line is skipped.
    static let lineLimitBytes = 64 << 10
    private static let chunkBytes = 1 << 20

    let key: AttemptKey
    /// The attempt's root; the file lies in what the step may write to, so no link is followed.
    let root: String

    package init(key: AttemptKey, root: String) {
        self.key = key
        self.root = root
    }

    /// - Parameter offset: goes past every line that `deliver` took, or that is no JSON object.
    /// - Parameter isOver: whether a last line without newline counts too.
    /// - Parameter deliver: false when there is no room; the line comes again next time.
    package func read(from offset: inout Int, isOver: Bool, deliver: (MetricSample) -> Bool) {
        guard let file = Self.open(root: root, name: "metrics.jsonl") else { return }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, Int(status.st_size) > offset else { return }
        var chunk = [UInt8](repeating: 0, count: min(Int(status.st_size) - offset, Self.chunkBytes))
        while true {
            let length = pread(file, &chunk, chunk.count, off_t(offset))
            if length < 0 && errno == EINTR { continue }
            guard length > 0 else { return }
            var start = 0
            while let end = chunk[start..<length].firstIndex(of: 10) {
                let sample = sample(chunk[start..<end], endOffset: offset + end + 1 - start)
                if let sample, !deliver(sample) { return }
                offset += end + 1 - start
                start = end + 1
            }
            let left = length - start
            if left > Self.lineLimitBytes { offset += left }
            if isOver && left > 0 && offset + left >= Int(status.st_size) {
                if let sample = sample(chunk[start..<length], endOffset: offset + left), !deliver(sample) {
                    return
                }
                offset += left
            }
            if start == 0 || offset >= Int(status.st_size) { return }
        }
    }

    private func sample(_ line: ArraySlice<UInt8>, endOffset: Int) -> MetricSample? {
        guard line.count <= Self.lineLimitBytes, let values = try? JSONValue(parsingUTF8: Array(line)),
            values.objectValue != nil
        else { return nil }
        return MetricSample(key: key, endOffset: endOffset, values: values)
    }

    /// A file of `.martlet` in the step's root, whatever the step made of its directories.
    static func open(root: String, name: String) -> Int32? {
        let directory = Glibc.open(
            root + StepPlan.martletDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        defer { close(directory) }
        let file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        return file < 0 ? nil : file
    }

    /// `N/M` in the first line of the progress file; nil for anything else.
    static func progress(root: String) -> String? {
        guard let file = open(root: root, name: "progress") else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let length = Glibc.read(file, &bytes, bytes.count)
        guard length > 0 else { return nil }
        return progress(bytes[..<length])
    }

    /// Of what a progress file holds.
    package static func progress(_ bytes: ArraySlice<UInt8>) -> String? {
        let line = String(decoding: bytes.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
        let numbers = line.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let done = numbers[0], let all = numbers[1], done >= 0, all > 0, done <= all
        else {
            return nil
        }
        return "\(done)/\(all)"
    }

    // MARK: What was kept

    package static func keptOffset(attemptDirectory: String) -> Int {
        let bytes = (try? Disk.read(attemptDirectory + "/metrics-offset", limitBytes: 64)) ?? []
        return Int(String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)) ?? 0
    }

    package static func keep(offset: Int, attemptDirectory: String) {
        try? Disk.replace(
            attemptDirectory + "/metrics-offset", with: Array("\(offset)\n".utf8), durable: false)
    }
}
