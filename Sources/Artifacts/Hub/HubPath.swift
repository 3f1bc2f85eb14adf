// Names that a server or a user gives and that become paths here: none may lead out of its directory.

/// Checks of paths inside a repository, of revisions and of tags that name files.
package enum HubPath {
    /// Why a path cannot be a file of a repository; nil if it can.
    package static func problem(of path: String) -> String? {
        if path.isEmpty { return "is empty" }
        if path.utf8.count > 4096 { return "is longer than 4096 bytes" }
        if path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "has control characters" }
        if path.hasPrefix("/") { return "is absolute" }
        for part in path.split(separator: "/", omittingEmptySubsequences: false) {
            if part.isEmpty { return "has an empty part" }
            if part.utf8.count > 255 { return "has a part that is longer than 255 bytes" }
            if part == "." || part == ".." { return "has the part \"\(part)\"" }
            // Harmless here, but not where a copy of the directory may be taken to.
            if part.split(separator: "\\").contains("..") { return "has the part \"..\"" }
            // Programs run what its configuration says.
            if part.lowercased() == ".git" { return "is inside a .git directory" }
        }
        return nil
    }

    /// Why files cannot lie beside each other, with the path that is at fault; nil if they can.
    package static func problem(among paths: some Sequence<String>) -> (path: String, problem: String)? {
        // As bytes: Swift takes different spellings of an accented letter for equal, Linux does not.
        var files: Set<[UInt8]> = []
        for path in paths {
            if let problem = problem(of: path) { return (path, problem) }
            guard files.insert(Array(path.utf8)).inserted else { return (path, "is listed twice") }
        }
        for file in files {
            for index in file.indices where file[index] == UInt8(ascii: "/") {
                guard files.contains(Array(file[..<index])) else { continue }
                return (String(decoding: file[..<index], as: UTF8.self), "is a file and a directory")
            }
        }
        return nil
    }

    /// Whether a revision can be a path below `refs`.
    package static func isRevision(_ revision: String) -> Bool {
        problem(of: revision) == nil && revision.utf8.count <= 255
    }

    /// Whether the text is a git commit: 40 lower-case hexadecimal digits.
    package static func isCommit(_ text: String) -> Bool { isHexadecimal(text, digits: 40) }

    package static func isHexadecimal(_ text: String, digits: Int) -> Bool {
        text.utf8.count == digits
            && text.utf8.allSatisfy {
                ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
                    || ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "f"))
            }
    }

    /// An ETag as a file's name: without `W/` and quotes; nil for one that cannot be a name.
    package static func normalizedETag(_ header: String) -> String? {
        var text = header[...]
        if text.hasPrefix("W/") { text = text.dropFirst(2) }
        if text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") {
            text = text.dropFirst().dropLast()
        }
        let isName =
            !text.isEmpty && text.utf8.count <= 128 && !text.hasPrefix(".")
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "\\")
            }
        return isName ? String(text) : nil
    }

    /// Percent-encoding of all but letters, digits and `-._~`, and `/` if it is to stay.
    package static func quoted(_ text: String, keepingSlash: Bool) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            case UInt8(ascii: "/") where keepingSlash: bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text with `%XX` decoded; nil for broken escapes and for what is no UTF-8.
    package static func unquoted(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
