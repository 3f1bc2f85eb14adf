// A folder of fixtures: which files it has, and what is in them.

import Foundation
import Tensors
import Text

/// Fixtures that are not what their layout promises.
struct GoldenError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

struct GoldenFolder: Sendable {
    private static let limitBytes = 1 << 30

    let path: String
    /// The path from the folder that the command was given; empty for that one itself.
    let name: String

    var isThere: Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
            && isDirectory.boolValue
    }

    func has(_ file: String) -> Bool { SmallFile.exists(path(of: file)) }

    func path(of file: String) -> String { "\(path)/\(file)" }

    func bytes(of file: String) throws -> [UInt8] {
        try SmallFile.read(path(of: file), limitBytes: Self.limitBytes)
    }

    func json(_ file: String) throws -> OrderedJSON {
        do {
            return try OrderedJSON(parsingUTF8: bytes(of: file))
        } catch let error as JSONParseError {
            throw GoldenError("\(path(of: file)): \(error)")
        }
    }

    /// What the folder has, by name.
    var entries: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    func folder(_ entry: String) -> GoldenFolder {
        GoldenFolder(path: path(of: entry), name: name.isEmpty ? entry : "\(name)/\(entry)")
    }
}

extension OrderedJSON {
    /// A list of token ids.
    func tokenIDs() throws -> [Int32] {
        guard let elements = arrayValue else {
            throw GoldenError("\(compactText.prefix(80)) is not a list of ids")
        }
        return try elements.map { element in
            guard let id = element.intValue.flatMap(Int32.init(exactly:)) else {
                throw GoldenError("\(element.compactText.prefix(80)) is not a token id")
            }
            return id
        }
    }

    func doubles() throws -> [Double] {
        guard let elements = arrayValue else {
            throw GoldenError("\(compactText.prefix(80)) is not a list of numbers")
        }
        return try elements.map { element in
            guard let number = element.doubleValue else {
                throw GoldenError("\(element.compactText.prefix(80)) is not a number")
            }
            return number
        }
    }

    /// The member that a case cannot do without.
    func required(_ key: String) throws -> OrderedJSON {
        guard let value = self[key] else {
            throw GoldenError("a case has no \(key): \(compactText.prefix(120))")
        }
        return value
    }

    func requiredText(_ key: String) throws -> String {
        guard let text = try required(key).stringValue else {
            throw GoldenError("\(key) is not a string: \(compactText.prefix(120))")
        }
        return text
    }
}
