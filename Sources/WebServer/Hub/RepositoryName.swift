// Which repository is meant: a model or a data set, by the name that clients use.

enum RepositoryKind: String, Sendable, CaseIterable {
    case models, datasets

    /// For messages.
    var word: String { self == .models ? "model" : "data set" }
}

struct RepositoryName: Sendable, Hashable {
    let kind: RepositoryKind
    /// `owner/name`, or `name` alone.
    let id: String

    /// Nil for what cannot be a name: it becomes a path, so nothing but letters, digits and `-_.` is taken,
    /// and no part may begin with a dot.
    init?(_ kind: RepositoryKind, _ parts: [String]) {
        guard (1...2).contains(parts.count), parts.allSatisfy(Self.isPart) else { return nil }
        self.kind = kind
        id = parts.joined(separator: "/")
    }

    static func isPart(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 200, text.utf8.first != UInt8(ascii: ".") else {
            return false
        }
        return text.utf8.allSatisfy { PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: "~") }
    }

    var owner: String? { id.contains("/") ? String(id.prefix { $0 != "/" }) : nil }

    var lastPart: String { String(id.split(separator: "/").last ?? "") }

    /// The folder of Hugging Face's cache: `models--owner--name`.
    var cacheFolder: String {
        "\(kind.rawValue)--" + id.split(separator: "/").joined(separator: "--")
    }

    /// The reverse of `cacheFolder`.
    init?(cacheFolder: String) {
        for kind in RepositoryKind.allCases where cacheFolder.hasPrefix(kind.rawValue + "--") {
            let rest = cacheFolder.dropFirst(kind.rawValue.count + 2)
            guard let divider = rest.firstRange(of: "--") else {
                self.init(kind, [String(rest)])
                return
            }
            self.init(kind, [String(rest[..<divider.lowerBound]), String(rest[divider.upperBound...])])
            return
        }
        return nil
    }
}
