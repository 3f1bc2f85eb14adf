// A value in a table's cell: a scalar, or lists and structures of values.

package import Text

/// What a cell holds. Formats with richer types than these write them as follows:
///
/// - decimals as text with all their digits, `12.50`, and unsigned integers above `Int64.max` as text;
/// - dates `2024-02-29`; times `13:05:00.25`; timestamps as RFC 3339 text in UTC,
///   `2024-02-29T13:05:00Z`, or without the `Z` where the column says nothing of a time zone; a time of day
///   that no clock shows remains a number;
/// - identifiers (UUID) as text with hyphens; maps as lists of structures of `key` and `value`;
/// - binary values, and text that is not UTF-8, as bytes.
package enum TableValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case list([TableValue])
    /// The fields in the order of the file.
    case structure([Field])

    package struct Field: Sendable, Hashable {
        package var name: String
        package var value: TableValue

        package init(name: String, value: TableValue) {
            self.name = name
            self.value = value
        }
    }
}

extension TableValue {
    package var isNull: Bool { self == .null }

    package var boolValue: Bool? {
        if case .bool(let flag) = self { return flag }
        return nil
    }

    /// A whole number, also one that is written like `5.0`.
    package var intValue: Int? {
        switch self {
        case .int(let number): Int(number)
        case .double(let number): Int(exactly: number)
        default: nil
        }
    }

    package var doubleValue: Double? {
        switch self {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    /// Text, also where a file has it as bytes without saying that they are text.
    package var stringValue: String? {
        switch self {
        case .string(let text): text
        case .bytes(let bytes): String(validating: bytes, as: UTF8.self)
        default: nil
        }
    }

    package var listValue: [TableValue]? {
        if case .list(let elements) = self { return elements }
        return nil
    }

    package var fields: [Field]? {
        if case .structure(let fields) = self { return fields }
        return nil
    }

    /// The field of a structure; nil for another kind of value or an absent name.
    package subscript(name: String) -> TableValue? {
        fields?.first { $0.name == name }?.value
    }
}

extension TableValue {
    /// The value as JSON. Bytes that are UTF-8 become a string; others an object `{"base64": "..."}` with the
    /// bytes in base64 (RFC 4648, padded).
    package var json: OrderedJSON {
        switch self {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(Int(number))
        case .double(let number): .double(number)
        case .string(let text): .string(text)
        case .bytes(let bytes):
            if let text = String(validating: bytes, as: UTF8.self) {
                .string(text)
            } else {
                .object([OrderedJSON.Member(key: "base64", value: .string(Self.base64(bytes)))])
            }
        case .list(let elements): .array(elements.map(\.json))
        case .structure(let fields):
            .object(fields.map { OrderedJSON.Member(key: $0.name, value: $0.value.json) })
        }
    }

    package init(_ json: OrderedJSON) {
        switch json {
        case .null: self = .null
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(Int64(number))
        case .double(let number): self = .double(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .list(elements.map { TableValue($0) })
        case .object(let members):
            self = .structure(members.map { Field(name: $0.key, value: TableValue($0.value)) })
        }
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for index in 0..<3 { bits = bits << 8 | (index < group.count ? Int(group[start + index]) : 0) }
            for index in 0..<4 {
                let isPadding = index > group.count
                text.append(isPadding ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * index) & 63])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
