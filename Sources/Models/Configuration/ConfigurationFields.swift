// Reading numbers, flags and names out of settings, each checked against what could possibly be meant.

import Tensors
import Text

/// An object of settings with the name of its file. Absent fields and `null` read as nil; everything else that
/// is not what the field needs is an error that names it.
struct ConfigurationFields {
    /// Longer files are refused before they are read.
    static let maximumFileByteCount = 16 << 20
    static let usualRemedy = "correct the field, or download the file again"

    let file: String
    let json: OrderedJSON
    /// The path of this object in the file, with a dot at its end unless it is the whole.
    private let prefix: String
    private let values: [String: OrderedJSON]

    private init(file: String, json: OrderedJSON, prefix: String) throws(ConfigurationError) {
        guard case .object(let members) = json else {
            throw ConfigurationError(
                file: file, field: String(prefix.dropLast()), problem: "this is not a JSON object",
                remedy: Self.usualRemedy)
        }
        self.file = file
        self.json = json
        self.prefix = prefix
        values = Dictionary(members.map { ($0.key, $0.value) }) { _, last in last }
    }

    init(json: OrderedJSON, file: String) throws(ConfigurationError) {
        try self.init(file: file, json: json, prefix: "")
    }

    init(parsing bytes: [UInt8], file: String) throws(ConfigurationError) {
        let json: OrderedJSON
        do throws(JSONParseError) {
            json = try OrderedJSON(parsingUTF8: bytes)
        } catch {
            throw ConfigurationError(
                file: file, problem: error.description, remedy: "correct the file, or download it again")
        }
        try self.init(json: json, file: file)
    }

    init(path: String) throws(ConfigurationError) {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try SmallFile.read(path, limitBytes: Self.maximumFileByteCount)
        } catch {
            throw ConfigurationError(
                file: path, problem: error.problem,
                remedy: error.isMissing
                    ? "give the directory that the model was downloaded or saved to" : error.remedy)
        }
        try self.init(parsing: bytes, file: path)
    }

    func failure(
        _ key: String, _ problem: String, remedy: String = Self.usualRemedy
    ) -> ConfigurationError {
        ConfigurationError(file: file, field: prefix + key, problem: problem, remedy: remedy)
    }

    private func wrongKind(_ key: String, _ value: OrderedJSON, _ wanted: String) -> ConfigurationError {
        let text = value.compactText
        return failure(key, "\(text.count > 60 ? text.prefix(60) + "…" : text) is not \(wanted)")
    }

    /// Whether the field is written, as `null` too.
    func isWritten(_ key: String) -> Bool { values[key] != nil }

    func value(_ key: String) -> OrderedJSON? {
        values[key].flatMap { $0 == .null ? nil : $0 }
    }

    func int(_ key: String, in range: ClosedRange<Int>) throws(ConfigurationError) -> Int? {
        guard let value = value(key) else { return nil }
        guard let number = value.intValue, range.contains(number) else {
            throw wrongKind(key, value, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func double(_ key: String, in range: ClosedRange<Double>) throws(ConfigurationError) -> Double? {
        guard let value = value(key) else { return nil }
        guard let number = value.doubleValue, range.contains(number) else {
            throw wrongKind(key, value, "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func bool(_ key: String) throws(ConfigurationError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.boolValue else { throw wrongKind(key, value, "true or false") }
        return flag
    }

    func string(_ key: String) throws(ConfigurationError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.stringValue else { throw wrongKind(key, value, "a string") }
        return text
    }

    /// A list of strings, of at most `limit`.
    func strings(_ key: String, limit: Int = 100_000) throws(ConfigurationError) -> [String]? {
        guard let value = value(key) else { return nil }
        guard let elements = value.arrayValue, elements.count <= limit else {
            throw wrongKind(key, value, "a list of at most \(limit) strings")
        }
        var strings: [String] = []
        for element in elements {
            guard let text = element.stringValue else { throw wrongKind(key, value, "a list of strings") }
            strings.append(text)
        }
        return strings
    }

    func object(_ key: String) throws(ConfigurationError) -> ConfigurationFields? {
        guard let value = value(key) else { return nil }
        return try ConfigurationFields(file: file, json: value, prefix: prefix + key + ".")
    }

    /// The members of an object in their order, none for an absent one.
    func members(_ key: String) throws(ConfigurationError) -> [OrderedJSON.Member] {
        try object(key)?.json.objectValue ?? []
    }

    /// A token id; -1, which older models use for "none", reads as nil.
    func tokenID(_ key: String) throws(ConfigurationError) -> Int32? {
        guard let number = try int(key, in: -1...Int(Int32.max)), number >= 0 else { return nil }
        return Int32(number)
    }

    /// One token id or a list of them.
    func tokenIDs(_ key: String) throws(ConfigurationError) -> [Int32] {
        guard let value = value(key) else { return [] }
        guard let elements = value.arrayValue else { return try tokenID(key).map { [$0] } ?? [] }
        guard elements.count <= 1000 else { throw failure(key, "the list has more than 1000 token ids") }
        var ids: [Int32] = []
        for element in elements {
            guard let number = element.intValue, let id = Int32(exactly: number), id >= 0 else {
                throw wrongKind(key, value, "a list of token ids")
            }
            if !ids.contains(id) { ids.append(id) }
        }
        return ids
    }
}
