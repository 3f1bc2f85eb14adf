// Reads compiled time zone files, the TZif format of RFC 8536.

extension TransitionTable {
    /// - Parameter tzif: the whole file; nil is returned for a file that is cut short or contradicts itself.
    init?(tzif bytes: [UInt8]) {
        var reader = TZifReader(bytes: bytes)
        guard let first = reader.header() else { return nil }
        guard first.version >= UInt8(ascii: "2") else {
            guard let table = reader.table(first, timeWidth: 4) else { return nil }
            self = table
            return
        }
        // Later versions repeat the data with 64-bit times after the 32-bit block, and end with a rule.
        reader.position += first.blockLength(timeWidth: 4)
        guard let second = reader.header(), var table = reader.table(second, timeWidth: 8) else { return nil }
        if let footer = reader.footer(), !footer.isEmpty {
            guard let rule = PosixTimeZone(footer) else { return nil }
            table.rule = rule
        }
        self = table
    }
}

private struct TZifHeader {
    var version: UInt8
    var universalCount: Int
    var standardCount: Int
    var leapCount: Int
    var timeCount: Int
    var kindCount: Int
    var characterCount: Int

    func blockLength(timeWidth: Int) -> Int {
        timeCount * (timeWidth + 1) + kindCount * 6 + characterCount + leapCount * (timeWidth + 4)
            + standardCount + universalCount
    }
}

private struct TZifReader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func header() -> TZifHeader? {
        guard position + 44 <= bytes.count, bytes[position..<(position + 4)].elementsEqual("TZif".utf8) else {
            return nil
        }
        let version = bytes[position + 4]
        let counts = (0..<6).map { integer(at: position + 20 + 4 * $0, width: 4) }
        // No count in a real file is near this; the bound keeps the sums below from overflowing.
        guard counts.allSatisfy({ (0...1_000_000).contains($0) }) else { return nil }
        position += 44
        return TZifHeader(
            version: version, universalCount: counts[0], standardCount: counts[1], leapCount: counts[2],
            timeCount: counts[3], kindCount: counts[4], characterCount: counts[5])
    }

    mutating func table(_ header: TZifHeader, timeWidth: Int) -> TransitionTable? {
        let length = header.blockLength(timeWidth: timeWidth)
        guard header.kindCount > 0, position + length <= bytes.count else { return nil }
        let indexStart = position + header.timeCount * timeWidth
        let kindStart = indexStart + header.timeCount
        let nameStart = kindStart + header.kindCount * 6
        var kinds: [LocalTimeKind] = []
        for index in 0..<header.kindCount {
            let start = kindStart + index * 6
            let nameOffset = Int(bytes[start + 5])
            guard nameOffset < header.characterCount else { return nil }
            let name = bytes[(nameStart + nameOffset)..<(nameStart + header.characterCount)].prefix {
                $0 != 0
            }
            kinds.append(
                LocalTimeKind(
                    offsetSeconds: integer(at: start, width: 4), isDaylight: bytes[start + 4] != 0,
                    abbreviation: String(decoding: name, as: UTF8.self)))
        }
        var table = TransitionTable(initial: kinds.first { !$0.isDaylight } ?? kinds[0])
        for index in 0..<header.timeCount {
            let time = integer(at: position + index * timeWidth, width: timeWidth)
            let kind = Int(bytes[indexStart + index])
            guard kind < kinds.count, index == 0 || time > table.times[index - 1] else { return nil }
            table.times.append(time)
            table.kinds.append(kinds[kind])
        }
        position += length
        return table
    }

    /// The text between the two newlines at the end of a file of version 2 or later.
    func footer() -> String? {
        guard position < bytes.count, bytes[position] == 0x0A else { return nil }
        return String(decoding: bytes[(position + 1)...].prefix { $0 != 0x0A }, as: UTF8.self)
    }

    /// A signed big-endian number. The caller has checked that the bytes exist.
    private func integer(at index: Int, width: Int) -> Int {
        let unsigned = bytes[index..<(index + width)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return width == 4 ? Int(Int32(truncatingIfNeeded: unsigned)) : Int(Int64(bitPattern: unsigned))
    }
}
