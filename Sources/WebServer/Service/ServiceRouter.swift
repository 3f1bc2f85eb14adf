// Finds the route of a path. A path is divided before it is decoded, and what is no plain name in a parameter is
// refused here, so that no route ever sees a way out of its folder.

import Text

/// The routes as a tree of path segments.
struct ServiceRouter: Sendable {
    /// A route with what stood in its path.
    struct Match: Sendable {
        var route: ServiceRoute
        var parameters: [String: String]
    }

    /// Longer paths are refused.
    static let maxPathBytes = 8_192
    /// The longest value of one path parameter. Names are at most 253 bytes, those of files 255.
    static let maxParameterBytes = 1_024
    static let maxSegments = 64

    private struct Entry: Sendable {
        var route: ServiceRoute
        /// The names of the pattern's parameters, in order.
        var names: [String]
        var takesRest: Bool { route.pattern.hasSuffix("...}") }
    }

    private struct Node: Sendable {
        var literals: [String: Node] = [:]
        /// One at most; an array because a value cannot hold itself.
        var parameter: [Node] = []
        var entries: [String: Entry] = [:]
        /// Routes that take the rest of the path, by method.
        var tails: [String: Entry] = [:]
    }

    private struct Candidate {
        var entries: [String: Entry]
        var values: [Substring]
    }

    let routes: [ServiceRoute]
    /// Answers GET where no route has the path: the page, whose addresses only the browser knows.
    let fallback: ServiceRoute?
    private var root = Node()

    /// Routes are the program's own: two of the same path, method or operation are a mistake in it.
    init(_ routes: [ServiceRoute], fallback: ServiceRoute? = nil) {
        self.routes = routes
        self.fallback = fallback
        var operations: Set<String> = []
        for route in routes + (fallback.map { [$0] } ?? []) {
            precondition(
                operations.insert(route.operation).inserted, "two routes are named \(route.operation)")
        }
        for route in routes {
            let segments = Self.segments(ofPattern: route.pattern)
            let names = segments.compactMap { Self.name(of: $0) }
            if case .namespaced = route.access {
                precondition(names.contains("namespace"), "\(route.operation) has no {namespace} in its path")
            }
            Self.add(Entry(route: route, names: names), segments[...], to: &root)
        }
    }

    /// - Parameter path: as sent.
    /// - Throws: 404 for an unknown path, 405 with `Allow` for a wrong method, 400 for a parameter that is no name.
    func match(method: String, path: String) throws(ServiceError) -> Match {
        let candidates = try candidates(path)
        for candidate in candidates {
            guard let entry = candidate.entries[method] ?? (method == "HEAD" ? candidate.entries["GET"] : nil)
            else { continue }
            var parameters: [String: String] = [:]
            for (name, value) in zip(entry.names, candidate.values) {
                parameters[name] = try Self.decoded(value, named: name, ofTail: entry.takesRest)
            }
            return Match(route: entry.route, parameters: parameters)
        }
        if candidates.isEmpty {
            if let fallback, method == "GET" || method == "HEAD" {
                return Match(route: fallback, parameters: [:])
            }
            throw .notFound("there is nothing at \(path.shortened)")
        }
        let allowed = Self.methods(candidates)
        var error = ServiceError.methodNotAllowed(
            "\(method.shortened) is not allowed on \(path.shortened); use \(allowed)")
        error.headers = [("Allow", allowed)]
        throw error
    }

    /// The methods of a path, as the `Allow` header has them.
    func allowed(path: String) throws(ServiceError) -> String {
        let candidates = try candidates(path)
        if candidates.isEmpty && fallback == nil { throw .notFound("there is nothing at \(path.shortened)") }
        return candidates.isEmpty ? "GET, HEAD, OPTIONS" : Self.methods(candidates)
    }

    private static func methods(_ candidates: [Candidate]) -> String {
        var methods = Set(candidates.flatMap(\.entries.keys)).union(["OPTIONS"])
        if methods.contains("GET") { methods.insert("HEAD") }
        return methods.sorted().joined(separator: ", ")
    }

    // MARK: The tree

    private static func segments(ofPattern pattern: String) -> [Substring] {
        precondition(pattern.hasPrefix("/"), "the pattern \(pattern) does not begin with a slash")
        return pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: true)
    }

    /// The parameter's name, where a segment of a pattern is one.
    private static func name(of segment: Substring) -> String? {
        guard segment.first == "{", segment.last == "}" else { return nil }
        let name = segment.dropFirst().dropLast()
        return String(name.hasSuffix("...") ? name.dropLast(3) : name)
    }

    private static func add(_ entry: Entry, _ segments: ArraySlice<Substring>, to node: inout Node) {
        let (method, operation) = (entry.route.method, entry.route.operation)
        guard let segment = segments.first else {
            let old = node.entries.updateValue(entry, forKey: method)
            precondition(old == nil, "\(operation) has the path and method of another route")
            return
        }
        if segment.hasSuffix("...}") {
            precondition(segments.count == 1, "what takes the rest of a path must stand last: \(operation)")
            let old = node.tails.updateValue(entry, forKey: method)
            precondition(old == nil, "\(operation) has the path and method of another route")
        } else if name(of: segment) != nil {
            if node.parameter.isEmpty { node.parameter = [Node()] }
            add(entry, segments.dropFirst(), to: &node.parameter[0])
        } else {
            add(entry, segments.dropFirst(), to: &node.literals[String(segment), default: Node()])
        }
    }

    /// What fits the path, the most literal first.
    private func candidates(_ path: String) throws(ServiceError) -> [Candidate] {
        guard path.utf8.count <= Self.maxPathBytes else {
            throw ServiceError(414, 3, "the path is longer than \(Self.maxPathBytes) bytes")
        }
        guard path.hasPrefix("/") else { throw .invalid("the path must begin with a slash") }
        var segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard segments.count <= Self.maxSegments else {
            throw .invalid("the path has more than \(Self.maxSegments) parts")
        }
        if segments == [""] { segments = [] }
        guard !segments.dropLast().contains("") else {
            throw .invalid(
                "a part of the path \(path.shortened) is empty: a name is missing between two slashes")
        }
        var found: [Candidate] = []
        Self.collect(root, segments[...], [], &found)
        // A slash too many at the end is forgiven.
        if found.isEmpty, segments.last == "" { Self.collect(root, segments.dropLast(), [], &found) }
        return found
    }

    private static func collect(
        _ node: Node, _ segments: ArraySlice<Substring>, _ values: [Substring], _ found: inout [Candidate]
    ) {
        guard let segment = segments.first else {
            if !node.entries.isEmpty { found.append(Candidate(entries: node.entries, values: values)) }
            // Argo's clients leave the namespace away where they mean all.
            for child in node.parameter {
                let all = child.entries.filter { $0.value.names.last == "namespace" }
                if !all.isEmpty { found.append(Candidate(entries: all, values: values + [""])) }
            }
            return
        }
        if let child = node.literals[String(segment)] {
            collect(child, segments.dropFirst(), values, &found)
        }
        for child in node.parameter {
            if !segment.isEmpty {
                collect(child, segments.dropFirst(), values + [segment], &found)
            } else {
                let all = child.entries.filter { $0.value.names.last == "namespace" }
                if !all.isEmpty { found.append(Candidate(entries: all, values: values + [""])) }
            }
        }
        if !node.tails.isEmpty, let end = segments.last {
            let rest = segment.base[segment.startIndex..<end.endIndex]
            found.append(Candidate(entries: node.tails, values: values + [rest]))
        }
    }

    // MARK: Parameters

    private static func decoded(
        _ value: Substring, named name: String, ofTail isTail: Bool
    ) throws(ServiceError) -> String {
        if value.isEmpty { return "" }
        var parts: [String] = []
        for part in value.split(separator: "/", omittingEmptySubsequences: false) {
            // The end of a folder's path.
            if part.isEmpty {
                parts.append("")
                continue
            }
            guard let text = plainName(part) else {
                throw .invalid(
                    "\"\(String(part).shortened)\" is no valid \(name) in a path: it must be a name in UTF-8 of at "
                        + "most \(maxParameterBytes) bytes, without slashes, control characters, \".\" and \"..\""
                )
            }
            parts.append(text)
        }
        return parts.joined(separator: "/")
    }

    /// A segment without its escapes; nil if it is no plain name then.
    private static func plainName(_ segment: Substring) -> String? {
        guard segment.utf8.count <= 3 * maxParameterBytes,
            let text = PercentEncoding.strictlyDecoded(segment),
            text.utf8.count <= maxParameterBytes, text != ".", text != "..",
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") })
        else { return nil }
        return text
    }
}

extension PercentEncoding {
    /// Undoes percent-encoding; nil for wrong escapes, and for bytes that are no UTF-8.
    static func strictlyDecoded(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        bytes.reserveCapacity(rest.count)
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let high = hexValue(rest[rest.startIndex]),
                let low = hexValue(rest[rest.startIndex + 1])
            else { return nil }
            bytes.append(high << 4 | low)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
