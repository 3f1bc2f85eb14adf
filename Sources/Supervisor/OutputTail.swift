// Keeps the last bytes of main's standard output, which become the step's `outputs.result`.

import Glibc

struct OutputTail {
    private let limitBytes: Int
    private var bytes: [UInt8] = []

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    mutating func append(_ chunk: UnsafeRawBufferPointer) {
        let kept = chunk.suffix(limitBytes)
        // Moving only when twice the limit is reached costs each byte one move at most.
        if bytes.count + kept.count > 2 * limitBytes {
            bytes.removeFirst(bytes.count - min(bytes.count, limitBytes - kept.count))
        }
        bytes.append(contentsOf: kept)
    }

    /// What is kept: the last bytes, at most the limit.
    var kept: [UInt8] { Array(bytes.suffix(limitBytes)) }

    /// Writes D/stdout-tail; without output there is no file.
    func save(in directory: AttemptDirectory) -> Bool {
        if bytes.isEmpty { return true }
        return bytes.withUnsafeBytes {
            directory.replace("stdout-tail", with: UnsafeRawBufferPointer(rebasing: $0.suffix(limitBytes)))
        }
    }
}
