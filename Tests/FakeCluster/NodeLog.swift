// The logs of containers as a node keeps them, read as the API gives them.

import Glibc
import Text

/// A container's log as its node keeps it, read on from where it was left.
struct NodeLog {
    private static let pieceBytes = 64 << 10

    private let path: String
    private let since: Timestamp?
    private var offset = 0
    private var rest: [UInt8] = []

    init(path: String, since: Timestamp?) {
        self.path = path
        self.since = since.map { Timestamp(nanoseconds: $0.nanoseconds / 1_000_000_000 * 1_000_000_000) }
    }

    /// What is new, as the API gives it: without stream and mark, which stand behind the time in the node's file.
    mutating func next() -> [UInt8] {
        var text: [UInt8] = []
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        while case let length = pread(file, &piece, piece.count, off_t(offset)), length > 0 {
            offset += length
            rest += piece[..<length]
            var start = rest.startIndex
            while let end = rest[start...].firstIndex(of: 10) {
                add(rest[start..<end], to: &text)
                start = end + 1
            }
            rest.removeFirst(start)
        }
        return text
    }

    private func add(_ line: ArraySlice<UInt8>, to text: inout [UInt8]) {
        let parts = line.split(separator: 32, maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3 else { return }
        if let since, let time = Timestamp(rfc3339: String(decoding: parts[0], as: UTF8.self)), time < since {
            return
        }
        text += parts[0] + [32] + (parts.count > 3 ? parts[3] : []) + [10]
    }
}
