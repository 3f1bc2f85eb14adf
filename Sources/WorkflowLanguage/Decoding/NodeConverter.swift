// The parser's nodes to marked values: scalars resolved, aliases followed and counted, merge keys merged,
// repeated keys reported with both places.

import Text
import Yams

/// Converts the documents of one stream; the counts run over all of them.
struct NodeConverter {
    private let limits: ReadLimits
    private let mask: TextMask
    private let overwritten: [YAMLStream.Place: (mark: Unicode.Scalar, original: Unicode.Scalar)]
    /// What was wrong without making the rest unreadable.
    var failures: [ReadFailure] = []

    private var nodes = 0
    private var aliases = 0
    /// Where the walk is. Aliased values stand where their alias does.
    private var path: [PathElement] = []
    private var anchors: [String: Anchored] = [:]
    private var openAnchors: Set<String> = []

    /// What an alias costs when it is followed.
    private struct Anchored {
        var value: MarkedValue
        var nodes: Int
        var depth: Int
    }

    init(
        limits: ReadLimits, mask: TextMask,
        overwritten: [YAMLStream.Place: (mark: Unicode.Scalar, original: Unicode.Scalar)]
    ) {
        self.limits = limits
        self.mask = mask
        self.overwritten = overwritten
    }

    /// Anchors reach to the end of their document.
    mutating func convertDocument(_ node: Node) throws(ReadFailure) -> MarkedValue {
        path = []
        anchors = [:]
        openAnchors = []
        return try convert(node, depth: 1).value
    }

    /// - Returns: the value, and how deep lists and maps go in it.
    private mutating func convert(
        _ node: Node, depth: Int, asKey: Bool = false
    ) throws(ReadFailure) -> (value: MarkedValue, depth: Int) {
        let place = Place(node)
        if case .scalar(let scalar) = node, let name = aliasName(scalar) {
            return try follow(name, scalar, at: place, depth: depth)
        }
        try count(1, at: place)
        let before = nodes
        let anchor = node.anchor?.rawValue
        if let anchor { openAnchors.insert(anchor) }
        let content: MarkedValue.Content
        var height = 0
        switch node {
        case .scalar(let scalar):
            content = .scalar(try resolve(scalar, at: place, asKey: asKey))
        case .sequence(let sequence):
            try checkDepth(depth, at: place)
            var elements: [MarkedValue] = []
            elements.reserveCapacity(sequence.count)
            for (index, element) in sequence.enumerated() {
                path.append(.index(index))
                let converted = try convert(element, depth: depth + 1)
                path.removeLast()
                elements.append(converted.value)
                height = max(height, converted.depth)
            }
            content = .array(elements)
            height += 1
        case .mapping(let mapping):
            try checkDepth(depth, at: place)
            (content, height) = try convert(mapping, depth: depth)
        case .alias:
            throw ReadFailure(
                line: place.line, column: place.column, message: "an alias is not possible here")
        }
        let value = MarkedValue(content: content, line: place.line, column: place.column)
        if let anchor {
            openAnchors.remove(anchor)
            anchors[anchor] = Anchored(
                value: value, nodes: nodes - before + 1, depth: height)
        }
        return (value, height)
    }

    private mutating func convert(
        _ mapping: Node.Mapping, depth: Int
    ) throws(ReadFailure) -> (MarkedValue.Content, Int) {
        var members: [MarkedValue.Member] = []
        members.reserveCapacity(mapping.count)
        var places: [String: Int] = [:]
        var merged: [MarkedValue.Member] = []
        var height = 0
        for (keyNode, valueNode) in mapping {
            let place = Place(keyNode)
            if isMergeKey(keyNode) {
                let converted = try convert(valueNode, depth: depth)
                merged += try mergedMembers(converted.value, at: place)
                height = max(height, converted.depth - 1)
                continue
            }
            let key = try key(keyNode, depth: depth)
            path.append(.key(key))
            let converted = try convert(valueNode, depth: depth + 1)
            height = max(height, converted.depth)
            if let first = places[key] {
                failures.append(
                    .repeatedKey(
                        key, path: path, at: (place.line, place.column),
                        first: (members[first].line, members[first].column)))
            } else {
                places[key] = members.count
                members.append(
                    .init(key: key, line: place.line, column: place.column, value: converted.value))
            }
            path.removeLast()
        }
        // A map's own keys win over merged ones, and of those the first.
        for member in merged where places[member.key] == nil {
            places[member.key] = members.count
            members.append(member)
        }
        return (.object(members), height + 1)
    }

    private struct Place {
        var line: Int
        var column: Int

        init(_ node: Node) {
            line = node.mark?.line ?? 1
            column = node.mark?.column ?? 1
        }
    }
}

// MARK: Keys and scalars

extension NodeConverter {
    private mutating func key(_ node: Node, depth: Int) throws(ReadFailure) -> String {
        let place = Place(node)
        let converted = try convert(node, depth: depth + 1, asKey: true).value
        guard case .scalar(let value) = converted.content else {
            throw ReadFailure(
                line: place.line, column: place.column, path: path, message: "a list or map cannot be a key",
                remedy: "put a text that begins with { or [ in quotes, such as \"{{inputs.parameters.name}}\""
            )
        }
        return value.stringValue ?? value.compactText
    }

    private func isMergeKey(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return restored(scalar) == "<<"
    }

    private func mergedMembers(_ value: MarkedValue, at place: Place) throws(ReadFailure) -> [MarkedValue
        .Member]
    {
        switch value.content {
        case .object(let members): return members
        case .array(let elements):
            var members: [MarkedValue.Member] = []
            for element in elements {
                guard case .object(let more) = element.content else { break }
                members += more
            }
            if members.isEmpty, !elements.isEmpty { break }
            return members
        case .scalar: break
        }
        throw ReadFailure(
            line: place.line, column: place.column, path: path, message: "<< takes a map, or a list of maps",
            remedy: "refer to an anchored map: \"<<: *name\"")
    }

    /// The scalar's text as the file has it, first character of repeated keys included.
    private func restored(_ scalar: Node.Scalar) -> String {
        guard !overwritten.isEmpty, let mark = scalar.mark,
            let change = overwritten[.init(line: mark.line, column: mark.column)],
            scalar.string.unicodeScalars.first == change.mark
        else { return mask.unmasked(scalar.string) }
        var scalars = String.UnicodeScalarView()
        scalars.append(change.original)
        scalars.append(contentsOf: scalar.string.unicodeScalars.dropFirst())
        return mask.unmasked(String(scalars))
    }

    private func resolve(
        _ scalar: Node.Scalar, at place: Place, asKey: Bool
    ) throws(ReadFailure) -> JSONValue {
        let text = restored(scalar)
        let plain = scalar.style == .plain
        // The parser tags the keys of a map as text when it compares them, so that tag says nothing here.
        let tag = asKey && plain && scalar.tag.description == YAMLScalar.textTag ? "" : scalar.tag.description
        do throws(YAMLScalar.Refusal) {
            return try YAMLScalar.resolve(text, plain: plain, tag: tag)
        } catch {
            throw ReadFailure(
                line: place.line, column: place.column, path: path, message: error.message,
                remedy: error.remedy)
        }
    }

    private func checkDepth(_ depth: Int, at place: Place) throws(ReadFailure) {
        guard depth > limits.depth else { return }
        throw ReadFailure(
            line: place.line, column: place.column,
            message: "lists and maps are nested more than \(limits.depth) deep", remedy: "flatten the value")
    }

    private mutating func count(_ more: Int, at place: Place) throws(ReadFailure) {
        nodes += more
        guard nodes > limits.nodes else { return }
        throw ReadFailure(
            line: place.line, column: place.column, path: path,
            message: "the file holds more than \(limits.nodes) values, aliases followed",
            remedy: "split it, or pass large data as an artifact instead of in the manifest")
    }
}

// MARK: Aliases

extension NodeConverter {
    /// What follows the `*` of a plain scalar that begins with one; the name of an anchor, if all is well.
    private func aliasName(_ scalar: Node.Scalar) -> String? {
        guard scalar.style == .plain,
            scalar.string.unicodeScalars.first == mask.star || isPatched(scalar)
        else { return nil }
        let text = restored(scalar)
        return text.hasPrefix("*") ? String(text.dropFirst()) : nil
    }

    private func isPatched(_ scalar: Node.Scalar) -> Bool {
        guard let mark = scalar.mark else { return false }
        return overwritten[.init(line: mark.line, column: mark.column)] != nil
    }

    private static let longestAnchor = 100

    private mutating func follow(
        _ name: String, _ scalar: Node.Scalar, at place: Place, depth: Int
    ) throws(ReadFailure) -> (value: MarkedValue, depth: Int) {
        func failure(_ message: String, _ remedy: String) -> ReadFailure {
            ReadFailure(line: place.line, column: place.column, path: path, message: message, remedy: remedy)
        }
        let quote =
            "a value that begins with * refers to an anchor; if it is text, put it in quotes: \"*\(name)\""
        let isName = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == 0x2D
                || byte == 0x5F
        }
        guard isName, !name.isEmpty, name.utf8.count <= Self.longestAnchor else {
            let beginning = name.prefix(Self.longestAnchor)
            throw failure(
                "\"*\(beginning)\" is not the name of an anchor",
                "a value that begins with * refers to an anchor; if it is text, put it in quotes")
        }
        if scalar.anchor != nil {
            throw failure("an alias cannot have an anchor of its own", "remove the & and name")
        }
        if openAnchors.contains(name) {
            throw failure("anchor \"\(name)\" contains itself", "write the inner value out")
        }
        guard let anchored = anchors[name] else {
            throw failure("no anchor &\(name) stands before this place", quote)
        }
        aliases += 1
        if aliases > limits.aliases {
            throw failure("the file holds more than \(limits.aliases) aliases", "write the values out")
        }
        try count(anchored.nodes, at: place)
        if anchored.depth > 0 { try checkDepth(depth + anchored.depth - 1, at: place) }
        var value = anchored.value
        value.line = place.line
        value.column = place.column
        return (value, anchored.depth)
    }
}

extension ReadFailure {
    static func repeatedKey(
        _ key: String, path: [PathElement], at place: (line: Int, column: Int),
        first: (line: Int, column: Int)
    ) -> ReadFailure {
        ReadFailure(
            line: place.line, column: place.column, path: path,
            message: "key \"\(key)\" is given twice; first in line \(first.line), column \(first.column)",
            remedy: "keep one of them; the other would be lost")
    }
}
