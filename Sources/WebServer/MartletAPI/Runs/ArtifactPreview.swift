// How a file begins, shown as what it is: a picture, a table, JSON, text, or bytes.

import Text

enum ArtifactPreview {
    /// Rows of a table.
    static let rowLimit = 100
    static let columnLimit = 200
    /// Of one cell.
    private static let cellLimit = 1_000

    /// - Parameters:
    ///   - bytes: the first of the file.
    ///   - size: of the whole file.
    static func file(_ bytes: [UInt8], size: Int, _ place: ArtifactPlace) -> JSONValue {
        var members: [String: JSONValue] = [
            "bytes": .int(size), "truncated": .bool(bytes.count < size), "url": .string(place.url),
        ]
        func shown(_ kind: String) -> JSONValue {
            members["kind"] = .string(kind)
            return .object(members)
        }
        if isImage(bytes) {
            members["truncated"] = false
            return shown("image")
        }
        guard let text = text(bytes, isCut: bytes.count < size) else { return shown("binary") }
        members["text"] = .string(text)
        let own = place.fileName.isEmpty ? place.name : place.fileName
        let name = (place.path.isEmpty ? own : place.path).lowercased()
        if let table = table(text, name: name, isCut: bytes.count < size) {
            members["table"] = table
            return shown("table")
        }
        let first = text.unicodeScalars.first { !$0.properties.isWhitespace }
        if bytes.count == size, first == "{" || first == "[", let value = try? JSONValue(parsing: text) {
            members["text"] = .string(value.prettyText)
            return shown("json")
        }
        return shown("text")
    }

    /// By the first bytes, whatever the file is called. SVG is text: it may hold scripts.
    static func isImage(_ bytes: [UInt8]) -> Bool {
        let signatures: [[UInt8]] = [
            [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], [0xFF, 0xD8, 0xFF], Array("GIF87a".utf8),
            Array("GIF89a".utf8), Array("BM".utf8),
        ]
        // A word may begin like a bitmap's signature, but has no zeros behind it.
        if bytes.starts(with: Array("BM".utf8)) { return bytes.count > 14 && bytes[6..<10] == [0, 0, 0, 0] }
        if signatures.contains(where: { bytes.starts(with: $0) }) { return true }
        return bytes.count > 12 && bytes.starts(with: Array("RIFF".utf8))
            && bytes[8..<12].elementsEqual("WEBP".utf8)
    }

    /// nil for bytes that are no text in UTF-8.
    static func text(_ bytes: [UInt8], isCut: Bool) -> String? {
        if bytes.contains(0) { return nil }
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        guard isCut else { return nil }
        // The cut may have gone through a character.
        for missing in 1...min(3, max(1, bytes.count)) where bytes.count >= missing {
            if let text = String(validating: bytes.dropLast(missing), as: UTF8.self) { return text }
        }
        return nil
    }

    // MARK: Tables

    /// A file whose name or lines say that it is a table; nil for others.
    static func table(_ text: String, name: String, isCut: Bool) -> JSONValue? {
        if name.hasSuffix(".jsonl") { return nil }
        let separator: Character
        if name.hasSuffix(".tsv") {
            separator = "\t"
        } else if name.hasSuffix(".csv") {
            separator = ","
        } else {
            return nil
        }
        var rows = DelimitedText.rows(text, separator: separator, limit: rowLimit + 2)
        // The last line may be a part of one.
        if isCut, rows.count <= rowLimit + 1 { rows = rows.dropLast() }
        guard let columns = rows.first, !columns.isEmpty else { return nil }
        let body = rows.dropFirst().prefix(rowLimit).map { row in
            JSONValue.texts(row.prefix(columnLimit).map { String($0.prefix(cellLimit)) })
        }
        return .object([
            "columns": .texts(columns.prefix(columnLimit).map { String($0.prefix(cellLimit)) }),
            "rows": .array(Array(body)),
        ])
    }
}

/// Comma- or tab-separated values (RFC 4180), read as far as is wanted.
enum DelimitedText {
    static func rows(_ text: String, separator: Character, limit: Int) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var cell = ""
        var isQuoted = false
        var characters = text.makeIterator()
        var next = characters.next()
        while let character = next, rows.count < limit {
            next = characters.next()
            if isQuoted {
                if character != "\"" {
                    cell.append(character)
                } else if next == "\"" {
                    cell.append("\"")
                    next = characters.next()
                } else {
                    isQuoted = false
                }
            } else if character == "\"", cell.isEmpty {
                isQuoted = true
            } else if character == separator {
                row.append(cell)
                cell = ""
            } else if character.isNewline {
                row.append(cell)
                if row != [""] { rows.append(row) }
                (row, cell) = ([], "")
            } else {
                cell.append(character)
            }
        }
        if rows.count < limit, !cell.isEmpty || !row.isEmpty { rows.append(row + [cell]) }
        return rows
    }
}
