// Patches as the API takes them: merge, strategic merge, a list of operations, and applied configurations.

import Kubernetes
import Text
import WorkflowLanguage

enum ObjectPatch {
    /// The object with the patch in it.
    /// - Parameter type: the request's content type.
    static func apply(
        _ body: [UInt8], type: String, to object: JSONValue, at place: ObjectPlace
    ) throws(Refusal) -> JSONValue {
        guard let patch = try? JSONValue(parsingUTF8: body) else {
            throw Refusal(400, "BadRequest", "error decoding patch: the body is no JSON")
        }
        switch type {
        case KubernetesClient.PatchKind.json.rawValue: return try operations(patch, object, place)
        case KubernetesClient.PatchKind.strategic.rawValue where place.isBuiltIn:
            try checkObject(patch)
            return try StrategicPatch(place: place).apply(patch, to: object)
        case KubernetesClient.PatchKind.merge.rawValue:
            try checkObject(patch)
            return merged(patch, into: object)
        default:
            throw Refusal(
                415, "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
            )
        }
    }

    private static func checkObject(_ patch: JSONValue) throws(Refusal) {
        if patch.objectValue == nil { throw Refusal(400, "BadRequest", "a merge patch is an object") }
    }

    /// RFC 7386.
    static func merged(_ patch: JSONValue, into value: JSONValue?) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = value?.objectValue ?? [:]
        for (key, change) in changes {
            // Beware of `nil` in a choice: it would be JSON's null.
            members[key] = Optional.none
            if change != .null { members[key] = merged(change, into: value?[key]) }
        }
        return .object(members)
    }

    // MARK: RFC 6902

    private static func operations(
        _ list: JSONValue, _ object: JSONValue, _ place: ObjectPlace
    ) throws(Refusal) -> JSONValue {
        guard let operations = list.arrayValue else {
            throw Refusal(400, "BadRequest", "a JSON patch is a list of operations")
        }
        var result = object
        for operation in operations {
            let (path, from) = (pointer(operation["path"]), pointer(operation["from"]))
            let value = operation["value"] ?? .null
            switch operation["op"]?.stringValue {
            case "add": result = try edit(result, path, place) { _ in value }
            case "replace":
                guard read(result, path) != nil else { throw missing(path, place) }
                result = try edit(result, path, place, replaces: true) { _ in value }
            case "remove":
                guard read(result, path) != nil else { throw missing(path, place) }
                result = try edit(result, path, place, replaces: true) { _ in nil }
            case "move", "copy":
                guard let moved = read(result, from) else { throw missing(from, place) }
                if operation["op"] == "move" {
                    result = try edit(result, from, place, replaces: true) { _ in nil }
                }
                result = try edit(result, path, place) { _ in moved }
            case "test":
                guard read(result, path) == value else {
                    throw .invalid(
                        place,
                        "the server rejected our request: testing value /\(path.joined(separator: "/")) failed"
                    )
                }
            default: throw Refusal(400, "BadRequest", "unknown operation in a JSON patch")
            }
        }
        return result
    }

    private static func missing(_ path: [String], _ place: ObjectPlace) -> Refusal {
        .invalid(place, "the server rejected our request: there is no /\(path.joined(separator: "/"))")
    }

    private static func pointer(_ value: JSONValue?) -> [String] {
        (value?.stringValue ?? "").split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            replacing("~0", "~", in: replacing("~1", "/", in: String($0)))
        }
    }

    private static func replacing(_ mark: String, _ text: String, in whole: String) -> String {
        var (rest, result) = (whole[...], "")
        while !rest.isEmpty {
            if rest.hasPrefix(mark) {
                result += text
                rest = rest.dropFirst(mark.count)
            } else {
                result.append(rest.removeFirst())
            }
        }
        return result
    }

    private static func read(_ value: JSONValue, _ path: [String]) -> JSONValue? {
        guard let key = path.first else { return value }
        var next = value[key]
        if let elements = value.arrayValue {
            next = Int(key).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
        }
        return next.flatMap { read($0, Array(path.dropFirst())) }
    }

    private static func edit(
        _ value: JSONValue, _ path: [String], _ place: ObjectPlace, replaces: Bool = false,
        _ change: (JSONValue?) -> JSONValue?
    ) throws(Refusal) -> JSONValue {
        guard let key = path.first else { return change(value) ?? .null }
        let rest = Array(path.dropFirst())
        switch value {
        case .object(var members):
            if rest.isEmpty {
                members[key] = change(members[key])
            } else {
                guard let inner = members[key] else { throw missing(path, place) }
                members[key] = try edit(inner, rest, place, replaces: replaces, change)
            }
            return .object(members)
        case .array(var elements):
            let index = key == "-" ? elements.count : Int(key) ?? -1
            guard (0...elements.count).contains(index) else { throw missing(path, place) }
            if !rest.isEmpty {
                guard elements.indices.contains(index) else { throw missing(path, place) }
                elements[index] = try edit(elements[index], rest, place, replaces: replaces, change)
            } else if !replaces {
                if let new = change(nil) { elements.insert(new, at: index) }
            } else if let new = change(elements[index]) {
                elements[index] = new
            } else {
                elements.remove(at: index)
            }
            return .array(elements)
        default: throw missing(path, place)
        }
    }
}
