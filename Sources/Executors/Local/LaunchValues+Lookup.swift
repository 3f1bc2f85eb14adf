// Reading ConfigMaps and Secrets by name and key.

import Text
import WorkflowLanguage

extension LaunchValues {
    /// A step cannot start, and trying again would not help.
    struct Missing: Error, CustomStringConvertible {
        let description: String
    }

    /// The bytes under a key; nil when it is absent and may be.
    func bytes(_ reference: ValueFrom.KeySelector, isSecret: Bool) throws -> [UInt8]? {
        guard let values = try document(reference.name, isSecret: isSecret, optional: reference.optional)
        else {
            return nil
        }
        if let bytes = try values.bytes(reference.key) { return bytes }
        if reference.optional { return nil }
        let kind = isSecret ? "Secret" : "ConfigMap"
        throw Missing(description: "the \(kind) \"\(reference.name)\" has no key \"\(reference.key)\"")
    }

    private func document(_ name: String, isSecret: Bool, optional: Bool) throws -> KeyedValues? {
        if let values = (isSecret ? secrets : configMaps)[name] { return values }
        if optional { return nil }
        let kind = isSecret ? "Secret" : "ConfigMap"
        throw Missing(description: "there is no \(kind) \"\(name)\"; load its document with --load")
    }

    func text(_ reference: ValueFrom.KeySelector, isSecret: Bool) throws -> String? {
        try bytes(reference, isSecret: isSecret).map { String(decoding: $0, as: UTF8.self) }
    }

    /// All values of a ConfigMap or Secret; nil when it is absent and may be.
    func all(_ name: String, isSecret: Bool, optional: Bool) throws -> [(key: String, bytes: [UInt8])]? {
        guard let values = try document(name, isSecret: isSecret, optional: optional) else { return nil }
        let keys = Set(values.values.keys).union(values.encodedValues.keys).sorted()
        return try keys.map { (key: $0, bytes: try values.bytes($0) ?? []) }
    }
}

extension KeyedValues {
    /// Text wins over what is written in base64, as `stringData` does.
    fileprivate func bytes(_ key: String) throws -> [UInt8]? {
        if let text = values[key] { return Array(text.utf8) }
        guard let encoded = encodedValues[key] else { return nil }
        guard let bytes = decodedBase64(encoded) else {
            throw LaunchValues.Missing(description: "\(metadata.name): the value of \"\(key)\" is not base64")
        }
        return bytes
    }
}

/// The bytes of padded base64; line breaks are skipped.
private func decodedBase64(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte in text.utf8 where byte != 10 && byte != 13 && byte != UInt8(ascii: "=") {
        let value: UInt8
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte + 4
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        count += 1
        if count % 4 > 1 || count.isMultiple(of: 4) {
            let shift = count % 4 == 2 ? 4 : count % 4 == 3 ? 2 : 0
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(shift)))
        }
    }
    return count % 4 == 1 ? nil : bytes
}
