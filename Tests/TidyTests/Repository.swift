// The repository as the rules see it: its folders, its sources and what is in them.

import Foundation

/// A source with its words.
struct SourceFile: Sendable {
    /// Below the repository's root: `Sources/Text/JSONValue.swift`.
    var path: String
    var lines: [String]
    var tokens: [SourceToken]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        tokens = path.hasSuffix(".swift") ? SourceTokens.read(text) : []
    }

    /// The folder in `Sources` or `Tests`.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    /// The file's name without its last ending.
    var baseName: String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
    }

    /// Names of modules that are imported, with their lines.
    var imports: [(module: String, line: Int)] {
        let kinds: Set = ["struct", "class", "enum", "func", "var", "let", "protocol", "typealias", "actor"]
        return tokens.indices.compactMap { index in
            guard tokens[index].text == "import", index + 1 < tokens.count else { return nil }
            let next =
                kinds.contains(tokens[index + 1].text) && index + 2 < tokens.count ? index + 2 : index + 1
            guard tokens[next].line == tokens[index].line, tokens[next].isWord else { return nil }
            return (tokens[next].text, tokens[index].line)
        }
    }

    /// Names of the types that are declared here, with their lines.
    var declaredTypes: [(name: String, line: Int)] {
        let keywords: Set = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        return zip(tokens, tokens.dropFirst()).compactMap { keyword, name in
            // `class func` and `class var` are no types.
            guard keywords.contains(keyword.text), name.isWord, name.text.first?.isUppercase == true else {
                return nil
            }
            return (name.text, name.line)
        }
    }

    /// Where the words `sequence` stand one after another.
    func lines(of sequence: [String]) -> [Int] {
        guard tokens.count >= sequence.count else { return [] }
        return (0...(tokens.count - sequence.count)).compactMap { start in
            for (offset, text) in sequence.enumerated() where tokens[start + offset].text != text {
                return nil
            }
            return tokens[start].line
        }
    }

    func place(_ line: Int) -> String { "\(path):\(line)" }
}

enum Repository {
    /// The folder with Package.swift above this file.
    static let root: String = {
        var url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while url.path != "/" {
            if FileManager.default.fileExists(atPath: url.appendingPathComponent("Package.swift").path) {
                return url.path
            }
            url.deleteLastPathComponent()
        }
        return FileManager.default.currentDirectoryPath
    }()

    static let sources = files(in: "Sources", endings: ["swift"])
    static let tests = files(in: "Tests", endings: ["swift"])
    /// All that people write here, in any language.
    static let written =
        sources + tests + files(in: "Sources", endings: ["c", "h"])
        + files(in: "migrations", endings: ["sql"])
        + files(in: "Tests", endings: ["py"]) + files(in: "Benchmarks", endings: ["py"])
        + files(in: "workflows", endings: ["yaml"])

    /// Files below a folder, in the order of their names. Folders that are links are left out, so that the
    /// migrations are not seen twice.
    static func files(in folder: String, endings: Set<String>) -> [SourceFile] {
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
        return paths.sorted().compactMap { path in
            let ending = path.split(separator: ".").last.map(String.init) ?? ""
            guard endings.contains(ending), !path.contains("/migrations/"),
                let data = FileManager.default.contents(atPath: "\(root)/\(folder)/\(path)")
            else { return nil }
            return SourceFile(path: "\(folder)/\(path)", text: String(decoding: data, as: UTF8.self))
        }
    }
}
