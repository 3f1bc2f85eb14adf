// How PEFT's settings speak of modules: names, ends of names, and patterns.

import Text

/// A key of `rank_pattern` or `alpha_pattern`, which PEFT takes for a regular expression that the end of a module's
/// name must match, from a dot on.
struct ModulePattern: Sendable {
    /// Keys that are plain names are compared without the machine: a file may have one for every module.
    private enum Matcher: Sendable {
        case plain([UInt8])
        case expression(RegularExpression)
    }

    private let matcher: Matcher

    init(_ key: String) throws(RegularExpressionError) {
        let isPlain = key.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        matcher =
            isPlain ? .plain(Array(key.utf8)) : .expression(try RegularExpression("^(.*\\.)?(\(key))$"))
    }

    func matches(_ module: String) -> Bool {
        switch matcher {
        case .expression(let expression): return expression.matches(module)
        case .plain(let key):
            let name = Array(module.utf8)
            guard name.count >= key.count else { return false }
            let start = name.count - key.count
            guard start == 0 || name[start - 1] == UInt8(ascii: ".") else { return false }
            // A dot of the key stands for any character, as it does in an expression.
            return zip(name[start...], key).allSatisfy { $0 == $1 || $1 == UInt8(ascii: ".") }
        }
    }
}

/// Which modules an adapter was made for; the rules are those of PEFT's `check_target_module_exists`.
struct ModuleSelection: Sendable {
    enum Names: Sendable {
        case list(Set<String>, [String])
        case expression(RegularExpression)

        func contains(_ module: String) -> Bool {
            switch self {
            case .list(let exact, let ends): exact.contains(module) || ends.contains { module.hasSuffix($0) }
            case .expression(let expression): expression.matches(module)
            }
        }

        init(_ names: [String]) { self = .list(Set(names), names.map { "." + $0 }) }

        /// The whole of a module's name must match, as in Python's `fullmatch`.
        init(pattern: String) throws(RegularExpressionError) {
            self = .expression(try RegularExpression("^(?:\(pattern))$"))
        }
    }

    /// Nil: every linear layer except the output layer.
    var targets: Names?
    var excluded: Names?
    /// Expressions for modules that are stored whole and so have no adapter.
    var saved: [RegularExpression] = []
    /// Empty: all layers.
    var layers: Set<Int> = []
    /// Expressions for the list that a layer's number counts in; empty: any.
    var layersPatterns: [RegularExpression] = []

    func contains(_ module: String) -> Bool {
        if let excluded, excluded.contains(module) { return false }
        if saved.contains(where: { $0.matches(module) }) { return false }
        guard let targets else { return module != "lm_head" && !module.hasSuffix(".lm_head") }
        guard targets.contains(module) else { return false }
        // Layer numbers count only for names of which the end was given.
        guard case .list(let exact, _) = targets, !exact.contains(module), !layers.isEmpty else {
            return true
        }
        guard let layer = layerNumber(module) else { return false }
        return layers.contains(layer)
    }

    private func layerNumber(_ module: String) -> Int? {
        if layersPatterns.isEmpty {
            let parts = module.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count > 3 else { return nil }
            return parts[2..<(parts.count - 1)].lazy.compactMap { Int($0) }.first
        }
        for pattern in layersPatterns {
            guard let match = pattern.firstMatch(in: module), match.groups.count > 1,
                let range = match.groups[match.groups.count - 1]
            else { continue }
            return Int(String(decoding: Array(module.utf8)[range], as: UTF8.self))
        }
        return nil
    }
}
