// Text as Python has it: a sequence of code points. Swift's String compares and counts after Unicode rules
// ("é" equals "e\u{301}", "\r\n" is one character), so templates would render differently with it.

/// Text whose equality, order, length and indexes are those of its code points. Kept as valid UTF-8, in which
/// the order of bytes is that of code points, and a text found by bytes is found at a code point.
struct PythonString: Sendable {
    private(set) var utf8: [UInt8]
    /// Whether it was marked by `safe` or made by `escape`: text added to it is then escaped for HTML.
    var isMarkup = false

    init() { utf8 = [] }

    init(_ text: String) { utf8 = Array(text.utf8) }

    /// - Precondition: the bytes are valid UTF-8.
    init(utf8: some Sequence<UInt8>) { self.utf8 = Array(utf8) }

    init(_ scalars: some Sequence<Unicode.Scalar>) {
        utf8 = []
        for scalar in scalars { append(scalar) }
    }

    var swift: String { String(decoding: utf8, as: UTF8.self) }

    var isEmpty: Bool { utf8.isEmpty }

    /// The number of code points.
    var count: Int {
        utf8.withUnsafeBufferPointer { bytes in bytes.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 } }
    }

    /// The code points.
    var scalars: [Unicode.Scalar] { Array(swift.unicodeScalars) }

    mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.isASCII {
            utf8.append(UInt8(scalar.value))
        } else {
            utf8.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    /// - Precondition: in the end, the bytes are valid UTF-8.
    mutating func append(byte: UInt8) { utf8.append(byte) }

    mutating func append(_ other: PythonString) { utf8.append(contentsOf: other.utf8) }

    mutating func append(_ other: String) { utf8.append(contentsOf: other.utf8) }

    static func + (left: PythonString, right: PythonString) -> PythonString {
        var sum = left
        sum.append(right)
        return sum
    }

    func repeated(_ times: Int) -> PythonString {
        var result = PythonString()
        result.utf8.reserveCapacity(utf8.count * max(times, 0))
        for _ in 0..<max(times, 0) { result.utf8.append(contentsOf: utf8) }
        return result
    }
}

extension PythonString: Hashable, Comparable, ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self.init(value) }

    static func == (left: PythonString, right: PythonString) -> Bool { left.utf8 == right.utf8 }

    func hash(into hasher: inout Hasher) { hasher.combine(utf8) }

    static func < (left: PythonString, right: PythonString) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}

// MARK: Places

extension PythonString {
    /// The byte at which a code point begins; the end for indexes behind the last.
    /// - Parameter index: 0 or more.
    func byteOffset(ofScalar index: Int) -> Int {
        var remaining = index
        var offset = 0
        while offset < utf8.count {
            if utf8[offset] & 0xC0 != 0x80 {
                if remaining == 0 { return offset }
                remaining -= 1
            }
            offset += 1
        }
        return offset
    }

    /// The code points in a range that lies within 0 to `count`.
    func slice(_ range: Range<Int>) -> PythonString {
        let start = byteOffset(ofScalar: range.lowerBound)
        var end = start
        var remaining = range.count
        while end < utf8.count {
            if utf8[end] & 0xC0 != 0x80 {
                if remaining == 0 { break }
                remaining -= 1
            }
            end += 1
        }
        return PythonString(utf8: utf8[start..<end])
    }

    /// The code point at an index, which may count from the end; nil outside.
    func scalar(at index: Int) -> PythonString? {
        let length = count
        let place = index < 0 ? index + length : index
        guard place >= 0, place < length else { return nil }
        return slice(place..<place + 1)
    }

    /// The byte offsets at which another text is found, from the left and without overlaps.
    /// - Parameter limit: how many at most.
    /// - Precondition: the other text is not empty.
    func offsets(of needle: PythonString, limit: Int) -> [Int] {
        var found: [Int] = []
        var start = 0
        while found.count < limit, let offset = offset(of: needle, from: start) {
            found.append(offset)
            start = offset + needle.utf8.count
        }
        return found
    }

    /// The same from the right, so that the last comes first.
    func offsetsFromRight(of needle: PythonString, limit: Int) -> [Int] {
        let mirrored = PythonString(mirroring: self)
        let length = needle.utf8.count
        return mirrored.offsets(of: PythonString(mirroring: needle), limit: limit).map {
            utf8.count - $0 - length
        }
    }

    /// The bytes from the end to the start, which are no valid text: only for searching.
    private init(mirroring text: PythonString) { utf8 = text.utf8.reversed() }

    /// The first byte offset at or behind `start` at which another text is found. Takes linear time, by
    /// Knuth, Morris and Pratt: plain comparisons would let a template square the length of its texts.
    func offset(of needle: PythonString, from start: Int = 0) -> Int? {
        guard start <= utf8.count else { return nil }
        guard let first = needle.utf8.first else { return start }
        let fallbacks = needle.fallbacks
        return utf8.withUnsafeBufferPointer { bytes in
            needle.utf8.withUnsafeBufferPointer { wanted in
                var matched = 0
                var offset = start
                while offset < bytes.count {
                    if matched == 0 {
                        while offset < bytes.count, bytes[offset] != first { offset += 1 }
                        guard offset < bytes.count else { return nil }
                    }
                    while matched > 0, bytes[offset] != wanted[matched] { matched = fallbacks[matched - 1] }
                    if bytes[offset] == wanted[matched] { matched += 1 }
                    offset += 1
                    if matched == wanted.count { return offset - matched }
                }
                return nil
            }
        }
    }

    /// For each place in this text: how many of the bytes up to it are again its first bytes.
    private var fallbacks: [Int] {
        var table = [Int](repeating: 0, count: utf8.count)
        var matched = 0
        for index in utf8.indices.dropFirst() {
            while matched > 0, utf8[index] != utf8[matched] { matched = table[matched - 1] }
            if utf8[index] == utf8[matched] { matched += 1 }
            table[index] = matched
        }
        return table
    }

    /// The last byte offset at which another text is found.
    func lastOffset(of needle: PythonString) -> Int? {
        needle.isEmpty ? utf8.count : offsetsFromRight(of: needle, limit: 1).first
    }

    func contains(_ other: PythonString) -> Bool { offset(of: other) != nil }

    func hasPrefix(_ prefix: PythonString) -> Bool { utf8.starts(with: prefix.utf8) }

    func hasSuffix(_ suffix: PythonString) -> Bool {
        utf8.count >= suffix.utf8.count && utf8[(utf8.count - suffix.utf8.count)...] == suffix.utf8[...]
    }

    /// The text between two byte offsets.
    func between(_ start: Int, _ end: Int) -> PythonString { PythonString(utf8: utf8[start..<end]) }
}
