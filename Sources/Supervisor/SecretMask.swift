// Covers words in a stream of bytes: a step may print the secrets that it was given, and a log is for many
// eyes.

import Glibc

/// One stream. A word may come in pieces, so what could be its beginning waits for what follows.
struct SecretMask {
    private static let cover: StaticString = "***"

    /// Longest first, so that of two that begin alike the longer is covered whole.
    private let words: [UnsafeBufferPointer<UInt8>]
    private let begins: [Bool]
    private var held: [UInt8] = []

    var isEmpty: Bool { words.isEmpty }

    /// - Parameter words: NUL-terminated, longest first; they stay for the life of the process.
    init(_ words: [UnsafeMutablePointer<CChar>]) {
        var begins = [Bool](repeating: false, count: 256)
        self.words = words.compactMap { word in
            let length = strlen(word)
            if length == 0 { return nil }
            return word.withMemoryRebound(to: UInt8.self, capacity: length) { bytes in
                begins[Int(bytes[0])] = true
                return UnsafeBufferPointer(start: bytes, count: length)
            }
        }
        self.begins = begins
    }

    /// The bytes that can be shown now, covered.
    /// - Parameter isEnd: nothing follows any more, so nothing waits.
    mutating func covering(_ bytes: UnsafeRawBufferPointer, isEnd: Bool = false) -> [UInt8] {
        let input = held + bytes
        held = []
        var output: [UInt8] = []
        output.reserveCapacity(input.count)
        input.withUnsafeBufferPointer { input in
            var index = 0
            while index < input.count {
                guard begins[Int(input[index])] else {
                    output.append(input[index])
                    index += 1
                    continue
                }
                switch match(input, at: index) {
                case .word(let length):
                    Self.cover.withUTF8Buffer { output.append(contentsOf: $0) }
                    index += length
                case .beginning where !isEnd:
                    held = Array(input[index...])
                    return
                case .beginning, .nothing:
                    output.append(input[index])
                    index += 1
                }
            }
        }
        return output
    }

    private enum Match { case word(Int), beginning, nothing }

    private func match(_ input: UnsafeBufferPointer<UInt8>, at index: Int) -> Match {
        let rest = input.count - index
        guard let place = input.baseAddress?.advanced(by: index) else { return .nothing }
        var isBeginning = false
        for word in words {
            guard let first = word.baseAddress else { continue }
            if memcmp(place, first, min(rest, word.count)) == 0 {
                // A longer word that may still come is waited for before a shorter one is taken.
                if rest < word.count {
                    isBeginning = true
                } else {
                    return isBeginning ? .beginning : .word(word.count)
                }
            }
        }
        return isBeginning ? .beginning : .nothing
    }
}
