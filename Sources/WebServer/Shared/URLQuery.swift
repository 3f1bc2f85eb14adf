// The parts of an address that are escaped: percent-encoding (RFC 3986) and the names and values behind the
// question mark, which forms have in their bodies, too.

enum PercentEncoding {
    /// Undoes percent-encoding; what is no valid escape stays.
    /// - Parameter plusIsSpace: true for queries and forms, where `+` stands for a space.
    static func decoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        bytes.reserveCapacity(rest.count)
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = Self.byte(of: rest.prefix(2)) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func byte(of digits: ArraySlice<UInt8>) -> UInt8? {
        guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
            return nil
        }
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    /// Escapes all but letters, digits and `-._~`.
    /// - Parameter keeping: characters that stay as well, such as `/` in a path.
    static func encoded(_ text: String, keeping: String = "") -> String {
        let kept = Set(keeping.utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if isUnreserved(byte) || kept.contains(byte) {
                bytes.append(byte)
            } else {
                let digits = Array(String(byte, radix: 16, uppercase: true).utf8)
                bytes.append(UInt8(ascii: "%"))
                if digits.count == 1 { bytes.append(UInt8(ascii: "0")) }
                bytes += digits
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            return true
        default: return false
        }
    }
}

/// Names and values in their order.
struct URLQuery: Sendable, Hashable {
    private(set) var items: [Item] = []

    struct Item: Sendable, Hashable {
        var name: String
        var value: String
    }

    /// - Parameter text: such as `a=1&b=two+words`; at most 10,000 items are read.
    init(_ text: String) {
        for part in text.split(separator: "&").prefix(10_000) {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            items.append(
                Item(
                    name: PercentEncoding.decoded(halves[0], plusIsSpace: true),
                    value: halves.count > 1 ? PercentEncoding.decoded(halves[1], plusIsSpace: true) : ""))
        }
    }

    /// The last value of a name, if there is one.
    subscript(name: String) -> String? { items.last { $0.name == name }?.value }

    func values(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// Whether a name has one of the values that clients send for yes: Python writes `True`.
    func flag(_ name: String) -> Bool { ["true", "1"].contains(self[name]?.lowercased()) }

    /// The text of the same items with one replaced or added.
    func text(replacing name: String, with value: String) -> String {
        let changed = items.filter { $0.name != name } + [Item(name: name, value: value)]
        return changed.map {
            PercentEncoding.encoded($0.name) + "=" + PercentEncoding.encoded($0.value)
        }.joined(separator: "&")
    }
}
